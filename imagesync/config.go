package imagesync

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ImageConfig is the part of an image's configuration that a job inherits.
type ImageConfig struct {
	// Entrypoint and Cmd are joined to form the default command.
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
	// Env is a list of NAME=value.
	Env []string `json:"env,omitempty"`
	// WorkingDir is an absolute path, or empty for /.
	WorkingDir string `json:"working_dir,omitempty"`
	// User is `user[:group]`, names or numbers, or empty for root.
	User   string            `json:"user,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

func imageConfig(c v1.Config) ImageConfig {
	return ImageConfig{
		Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env,
		WorkingDir: c.WorkingDir, User: c.User, Labels: c.Labels,
	}
}

func (c ImageConfig) oci() v1.Config {
	return v1.Config{
		Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env,
		WorkingDir: c.WorkingDir, User: c.User, Labels: c.Labels,
	}
}

// platformOf is what a user calls an architecture, `amd64` or `linux/arm64`,
// as an OCI platform. Only Linux images run here.
func platformOf(arch string) (v1.Platform, error) {
	goos, rest, found := strings.Cut(arch, "/")
	if !found {
		goos, rest = "linux", arch
	}
	name, variant, _ := strings.Cut(rest, "/")
	if goos != "linux" || name == "" {
		return v1.Platform{}, fmt.Errorf("parse platform %q: want linux/<architecture>", arch)
	}
	switch name {
	case "x86_64":
		name = "amd64"
	case "aarch64":
		name = "arm64"
	}
	return v1.Platform{OS: goos, Architecture: name, Variant: variant}, nil
}
