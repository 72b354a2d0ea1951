package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/vm"
)

// kernelInfo is a kernel as it is listed.
type kernelInfo struct {
	Arch    string `json:"arch"`
	Release string `json:"release"`
	// Default is what a job gets that names no kernel.
	Default bool `json:"default"`
	// Guest is the version of the init.
	Guest string `json:"guest"`
	// Digests in hex.
	Kernel    string `json:"kernel_sha256"`
	Initramfs string `json:"initramfs_sha256"`
	Bytes     int64  `json:"bytes"`
}

func (t *kernelTool) list() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the kernels, and which one jobs get that name none",
		Long: `List the kernels, of each architecture the newest first, and those with known faults
after the others. A job that names none gets the one marked DEFAULT. KERNEL and INIT
are the beginnings of the sha256 of the kernel and of the initramfs, GUEST is the version of the guest's init.`,
		Example: "  ped kernel list --guest-dir .cache/guest",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			found, err := t.bundles()
			all := kernelsOf(found)
			if t.json {
				return errors.Join(json.NewEncoder(t.stdout).Encode(all), err)
			}
			return errors.Join(printKernels(t.stdout, all), err)
		},
	}
	cmd.Flags().StringVar(&t.arch, "arch", "", "of this `ARCH` alone")
	cmd.Flags().BoolVar(&t.json, "json", false, "print JSON")
	return t.settings(cmd)
}

// kernelsOf describes bundles that are in their order.
func kernelsOf(bundles []*vm.Bundle) []kernelInfo {
	all := []kernelInfo{}
	for i, b := range bundles {
		all = append(all, kernelInfo{
			Arch: b.Arch, Release: b.KernelRelease, Default: i == 0 || bundles[i-1].Arch != b.Arch,
			Guest: b.GuestVersion, Kernel: b.KernelSHA256, Initramfs: b.InitramfsSHA256, Bytes: folderBytes(b.Dir()),
		})
	}
	return all
}

func folderBytes(dir string) int64 {
	var sum int64
	// What vanishes meanwhile counts as nothing.
	_ = fs.WalkDir(os.DirFS(dir), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

func printKernels(to io.Writer, all []kernelInfo) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ARCH\tRELEASE\tDEFAULT\tSIZE\tKERNEL\tINIT\tGUEST")
	for _, k := range all {
		def := "-"
		if k.Default {
			def = "default"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Arch, k.Release, def, sizeText(k.Bytes), short(k.Kernel), short(k.Initramfs), known(k.Guest))
	}
	return w.Flush()
}
