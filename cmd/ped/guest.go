package main

import (
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/guestrd/build"
)

func (a *app) guest() *cobra.Command {
	cmd := &cobra.Command{Use: "guest", Short: "Build what runs inside the machines", Args: cobra.NoArgs}
	cmd.AddCommand(a.guestBuild())
	return cmd
}

func (a *app) guestBuild() *cobra.Command {
	c := build.Config{Version: version}
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Make a guest bundle: kernel, initramfs and manifest",
		Long: `Make a guest bundle for one architecture: the kernel in the form that QEMU boots,
an initramfs with the guest's init and the modules that it needs, and a manifest.
deploy/kernels.sh fetches kernel packages; make build makes bin/guestrd-ARCH.`,
		Example: `  deploy/kernels.sh amd64
  ped guest build --arch amd64 --kernel-root .cache/kernels/amd64 --init bin/guestrd-amd64 --out .cache/guest`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := build.Build(cmd.Context(), c)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "%s: kernel %s, %d modules\n", filepath.Join(c.Out, c.Arch), m.KernelRelease, len(m.Modules))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Arch, "arch", runtime.GOARCH, "architecture: amd64, arm64 or riscv64")
	f.StringVar(&c.Kernel, "kernel-root", "", "folder with an unpacked kernel package (required)")
	f.StringVar(&c.Guestrd, "init", "", "guestrd, built for that architecture (required)")
	f.StringVar(&c.Out, "out", "", "folder of bundles; this one becomes OUT/ARCH (required)")
	require(cmd, "kernel-root", "init", "out")
	return cmd
}
