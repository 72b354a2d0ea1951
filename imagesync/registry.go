package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	dockertypes "github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registryOrigin pulls from a registry by its HTTP API.
type registryOrigin struct {
	ref    name.Reference
	puller *remote.Puller
}

func newRegistryOrigin(ref name.Reference, t *transports, keys authn.Keychain) (*registryOrigin, error) {
	transport, err := t.forRegistry(ref.Context().RegistryStr())
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(remote.WithTransport(transport), remote.WithAuthFromKeychain(keys),
		remote.WithUserAgent("program-explorer"))
	if err != nil {
		return nil, err
	}
	return &registryOrigin{ref: ref, puller: puller}, nil
}

func (r *registryOrigin) resolve(ctx context.Context) ([]byte, error) {
	d, err := r.puller.Get(ctx, r.ref)
	if err != nil {
		return nil, wrongAnswer(err)
	}
	return d.Manifest, nil
}

func (r *registryOrigin) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	d, err := r.puller.Get(ctx, r.ref.Context().Digest(digest.String()))
	if err != nil {
		return nil, wrongAnswer(err)
	}
	return d.Manifest, nil
}

func (r *registryOrigin) blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	layer, err := r.puller.Layer(ctx, r.ref.Context().Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, wrongAnswer(err)
	}
	return body, nil
}

// wrongAnswer marks what a registry's client complains of, and has no other
// kind, as the registry's fault.
func wrongAnswer(err error) error {
	if kindOf(err) != nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}

// anonymous is a keychain without keys.
type anonymous struct{}

func (anonymous) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

// keychain reads credentials from a docker configuration folder, or from the
// usual places when dir is empty.
func keychain(dir string) (authn.Keychain, error) {
	if dir == "" {
		return authn.DefaultKeychain, nil
	}
	file, err := config.Load(dir)
	if err != nil {
		return nil, err
	}
	return &folderKeychain{file}, nil
}

type folderKeychain struct{ file *configfile.ConfigFile }

// Resolve looks for the registry as docker does, Docker Hub under its old name too.
func (k *folderKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		c, err := k.file.GetAuthConfig(key)
		if err != nil {
			return nil, err
		}
		c.ServerAddress = ""
		if c != (dockertypes.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: c.Username, Password: c.Password, Auth: c.Auth,
				IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}
