package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// chooseArch gives the architecture to run on. Without a wish it is one that
// the image has and that a live executor serves, or else one that may come back:
// this host's if it can be, as nothing has to be emulated then, else the first
// that the image lists.
func chooseArch(needs schemas.Requires, image ResolvedImage, fleet []schemas.Executor) (string, error) {
	if needs.Arch != "" {
		if !slices.Contains(image.Archs, needs.Arch) {
			return "", kindImageArch.problem(
				fmt.Sprintf("image %s is not there for %s; it has %s", image.Reference, needs.Arch, listOf(image.Archs)),
				"set requires.arch to one that the image has, or leave it out")
		}
		return needs.Arch, nil
	}
	known := slices.DeleteFunc(slices.Clone(image.Archs), func(arch string) bool { return !slices.Contains(schemas.Archs, arch) })
	if len(known) == 0 {
		return "", kindImageArch.problem(
			fmt.Sprintf("image %s has %s; jobs run on %s", image.Reference, listOf(image.Archs), listOf(schemas.Archs)), "")
	}
	if i := slices.Index(known, schemas.HostArch()); i > 0 {
		known[0], known[i] = known[i], known[0]
	}
	for _, there := range []func(schemas.Executor) bool{isUp, anyExecutor} {
		for _, arch := range known {
			needs.Arch = arch
			if slices.ContainsFunc(fleet, func(e schemas.Executor) bool { return there(e) && needs.SatisfiedBy(e.Facts) }) {
				return arch, nil
			}
		}
	}
	return known[0], nil
}

func isUp(e schemas.Executor) bool      { return e.State == schemas.ExecutorUp }
func anyExecutor(schemas.Executor) bool { return true }

func listOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
