package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// kernelTool is what the commands on kernels share.
type kernelTool struct {
	*app
	data  dataFlags
	guest guestFlags
	arch  string
	json  bool
}

func (a *app) kernel() *cobra.Command {
	t := &kernelTool{app: a}
	cmd := &cobra.Command{
		Use:   "kernel",
		Short: "Add, list and remove the kernels that machines boot",
		Long: `Add, list and remove the kernels that machines boot. Each lies with the guest's init
and the modules that this needs in a guest bundle, GUEST-DIR/ARCH/RELEASE. A job that
names a kernel ("pe run --kernel 6.1") gets a machine with it; one that names none gets
that which "ped kernel list" marks as DEFAULT: the newest without a known fault. An executor that
runs takes note of changes when it starts again.`,
		Example: `  deploy/kernels.sh amd64:trixie && ped kernel add .cache/kernels/amd64-trixie
  ped kernel list
  ped kernel rm 6.1.0-56-cloud-amd64`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(t.add(), t.list(), t.rm())
	return cmd
}

// settings binds what says where the bundles are.
func (t *kernelTool) settings(cmd *cobra.Command) *cobra.Command {
	return t.configured(cmd, t.data.bind(t.getenv), t.guest.bind())
}

func (t *kernelTool) dir() string { return t.guest.in(t.data.dir) }

// bundles are those of one architecture or, without one, of all. What can't be read of them is told.
func (t *kernelTool) bundles() ([]*vm.Bundle, error) {
	archs := schemas.Archs
	if t.arch != "" {
		archs = []string{t.arch}
	}
	var (
		all  []*vm.Bundle
		errs []error
	)
	for _, arch := range archs {
		if _, err := os.Stat(filepath.Join(t.dir(), arch)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		found, err := vm.ListBundles(t.dir(), arch)
		all, errs = append(all, found...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

func (t *kernelTool) rm() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "rm RELEASE",
		Short: "Remove a kernel",
		Long: `Remove a kernel. RELEASE is one as "ped kernel list" prints it. The last one of an
architecture goes only with --force: without it no machines of that architecture can be made.`,
		Example: "  ped kernel rm 6.1.0-56-cloud-amd64",
		Args:    exactly(1),
		RunE:    func(_ *cobra.Command, args []string) error { return t.remove(args[0], force) },
	}
	cmd.Flags().StringVar(&t.arch, "arch", "", "`ARCH`, where several have that release")
	cmd.Flags().BoolVar(&force, "force", false, "remove the last one, too")
	return t.settings(cmd)
}

func (t *kernelTool) remove(release string, force bool) error {
	if release != filepath.Base(release) || release[0] == '.' {
		return usageError{fmt.Errorf("%q is no kernel's release", release)}
	}
	var at []string // folders of that name, whatever is in them
	for _, arch := range schemas.Archs {
		dir := filepath.Join(t.dir(), arch, release)
		if _, err := os.Stat(dir); err == nil && (t.arch == "" || t.arch == arch) {
			at = append(at, dir)
		}
	}
	switch len(at) {
	case 0:
		return fmt.Errorf("there is no kernel %s in %s: see ped kernel list", release, t.dir())
	case 1:
	default:
		return usageError{fmt.Errorf("several architectures have a kernel %s: say which with --arch", release)}
	}
	arch := filepath.Base(filepath.Dir(at[0]))
	all, _ := vm.ListBundles(t.dir(), arch)
	if others := without(all, release); others == 0 && !force {
		return fmt.Errorf("%s is the last kernel for %s: add another one first, or use --force", release, arch)
	}
	// Half a bundle must not look like one.
	gone := filepath.Join(t.dir(), ".gone-"+arch+"-"+release)
	if err := errors.Join(os.RemoveAll(gone), os.Rename(at[0], gone)); err != nil {
		return fmt.Errorf("remove kernel: %w", err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("remove kernel: %w", err)
	}
	fmt.Fprintf(t.stdout, "removed kernel %s for %s\n", release, arch)
	return nil
}

// without counts bundles but that of a release.
func without(all []*vm.Bundle, release string) int {
	n := 0
	for _, b := range all {
		if b.KernelRelease != release {
			n++
		}
	}
	return n
}

// guestrdBeside is the guest's init as "make build" leaves it beside this program.
func guestrdBeside(arch string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the guest's init: %w (name it with --init)", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find the guest's init: %w (name it with --init)", err)
	}
	path := filepath.Join(filepath.Dir(self), "guestrd-"+cmp.Or(arch, runtime.GOARCH))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find the guest's init: %w (name it with --init)", err)
	}
	return path, nil
}
