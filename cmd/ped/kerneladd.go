package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/guestrd/build"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/schemas"
)

// kernelAdd is what `ped kernel add` was told.
type kernelAdd struct {
	*kernelTool
	init   string
	noBoot bool
}

func (t *kernelTool) add() *cobra.Command {
	c := &kernelAdd{kernelTool: t}
	cmd := &cobra.Command{
		Use:   "add PACKAGE",
		Short: "Add a kernel: a Debian kernel package, or one that is unpacked",
		Long: `Add a kernel. PACKAGE is a Debian kernel package (linux-image-….deb), or a folder with
an unpacked one, as deploy/kernels.sh leaves it: boot/vmlinuz-RELEASE and
lib/modules/RELEASE. Becomes a guest bundle, GUEST-DIR/ARCH/RELEASE: the kernel in the
form that QEMU boots, and an initramfs with the guest's init and the modules that it
needs. Replaces what was there of the same release.

Where QEMU is installed for that architecture, the bundle is booted once before it is
put in place: a kernel that does not come up is refused. What its guest says of kernel
and processor is kept beside it, and saves executors with the same QEMU the same trial.`,
		Example: `  deploy/kernels.sh amd64:trixie && ped kernel add .cache/kernels/amd64-trixie
  ped kernel add --guest-dir .cache/guest linux-image-6.12.117+deb13-cloud-amd64_6.12.117-1_amd64.deb`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&t.arch, "arch", "", "`ARCH`: amd64, arm64 or riscv64 (default: as the kernel's release ends)")
	f.StringVar(&c.init, "init", "", "`FILE` of guestrd, built for that architecture (default: guestrd-ARCH beside this program)")
	f.BoolVar(&c.noBoot, "no-boot", false, "boot nothing")
	return t.settings(cmd)
}

func (c *kernelAdd) run(ctx context.Context, from string) (err error) {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("add kernel: %w", err)
	}
	if !info.IsDir() {
		dir, err := unpackDeb(ctx, from)
		if dir != "" {
			defer os.RemoveAll(dir)
		}
		if err != nil {
			return fmt.Errorf("add kernel: %w", err)
		}
		from = dir
	}
	b := build.Config{Arch: c.arch, Kernel: from, Guestrd: c.init, Version: version, Out: c.dir()}
	if b.Arch == "" {
		if b.Arch, err = archOf(from); err != nil {
			return err
		}
	}
	if !slices.Contains(schemas.Archs, b.Arch) {
		return usageError{fmt.Errorf("no architecture %q: want %s", b.Arch, strings.Join(schemas.Archs, ", "))}
	}
	if b.Guestrd == "" {
		if b.Guestrd, err = guestrdBeside(b.Arch); err != nil {
			return err
		}
	}
	booted := "not booted"
	if !c.noBoot {
		b.Check = func(ctx context.Context, out string) error {
			var err error
			booted, err = c.tryGuest(ctx, out, b.Arch)
			return err
		}
	}
	m, err := build.Build(ctx, b)
	if err != nil {
		return fmt.Errorf("add kernel: %w", err)
	}
	fmt.Fprintf(c.stdout, "%s: kernel %s, %d modules, %s\n", filepath.Join(b.Out, b.Arch, m.KernelRelease), m.KernelRelease, len(m.Modules), booted)
	return nil
}

// tryGuest says how the boot went, if there can be one.
func (c *kernelAdd) tryGuest(ctx context.Context, dir, arch string) (string, error) {
	t, err := roles.TryGuest(ctx, dir, arch, filepath.Join(c.dir(), ".accel"))
	if errors.Is(err, exec.ErrNotFound) {
		return "not booted: there is no QEMU for " + arch, nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("booted in %.1f s", float64(t.TookMS)/1000), nil
}

// unpackDeb unpacks a Debian package into a new folder, which the caller removes.
func unpackDeb(ctx context.Context, path string) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "ped-kernel-"); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "dpkg-deb", "-x", path, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return dir, fmt.Errorf("unpack %s: there is no dpkg-deb (install the package dpkg, or give a folder with the unpacked package)", path)
		}
		return dir, fmt.Errorf("unpack %s: %w: %s", path, err, bytes.TrimSpace(out))
	}
	// Newer packages have their modules in usr/lib; depmod looks in lib.
	if _, err := os.Lstat(filepath.Join(dir, "lib")); errors.Is(err, fs.ErrNotExist) {
		return dir, os.Symlink("usr/lib", filepath.Join(dir, "lib"))
	}
	return dir, nil
}

// archOf guesses by the name of the release in an unpacked package: 6.1.0-56-cloud-amd64.
func archOf(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "lib/modules/*"))
	if err != nil {
		return "", err
	}
	for _, path := range found {
		for _, arch := range schemas.Archs {
			if strings.HasSuffix(path, "-"+arch) {
				return arch, nil
			}
		}
	}
	return "", usageError{fmt.Errorf("the architecture of the kernel in %s can't be told: say which with --arch", dir)}
}
