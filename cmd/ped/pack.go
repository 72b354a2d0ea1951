package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/imagesync"
)

func (a *app) imagePack() *cobra.Command {
	var (
		r       imagesync.Rootfs
		created int64
		labels  []string
	)
	cmd := &cobra.Command{
		Use:   "pack [flags] LAYER.tar…",
		Short: "Pack root filesystem tars as an image in an OCI layout",
		Long: `Pack uncompressed tars, the lowest layer first, as an image of one platform in an
OCI layout folder. Images of other platforms in the same layout stay. The same
input gives the same digest, which is printed.`,
		Example: `  ped image pack --layout hello --platform linux/amd64 --cmd /hello rootfs.tar`,
		Args:    atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Layers, r.Created = args, time.Unix(created, 0)
			var err error
			if r.Config.Labels, err = pairs("label", labels); err != nil {
				return usageError{err}
			}
			digest, err := imagesync.AddRootfs(cmd.Context(), r)
			if err == nil {
				fmt.Fprintln(a.stdout, digest)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Layout, "layout", "", "`DIR` of the OCI layout, made when absent (required)")
	f.StringVar(&r.Name, "name", "latest", "reference `NAME` in the layout")
	f.StringVar(&r.Platform, "platform", "", "`PLATFORM` of the image: linux/ARCH (required)")
	f.Int64Var(&created, "created", 0, "creation time, `SECONDS` since the Unix epoch")
	f.StringArrayVar(&r.Config.Env, "env", nil, "`NAME=VALUE` of the image's environment; repeat for more")
	f.StringArrayVar(&r.Config.Entrypoint, "entrypoint", nil, "a `WORD` of the entrypoint; repeat for more")
	f.StringArrayVar(&r.Config.Cmd, "cmd", nil, "a `WORD` of the default command; repeat for more")
	f.StringVar(&r.Config.WorkingDir, "working-dir", "", "default working `DIR`")
	f.StringVar(&r.Config.User, "user", "", "default `USER[:GROUP]`")
	f.StringArrayVar(&labels, "label", nil, "`NAME=VALUE` of a label; repeat for more")
	f.StringVar(&r.Compression, "compression", "gzip", "`KIND` of the layers' compression: gzip, zstd or none")
	require(cmd, "layout", "platform")
	return cmd
}

// pairs reads a list of name=value.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(list))
	for _, pair := range list {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--%s %q: want name=value", flag, pair)
		}
		m[name] = value
	}
	return m, nil
}
