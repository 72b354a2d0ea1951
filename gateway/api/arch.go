package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// executorUp is the state of an executor that takes jobs now.
const executorUp = "up"

// chooseArch gives the architecture to run on. Without a wish it is one that
// the image has and that a live executor serves: this host's if it can be, as
// nothing has to be emulated then, else the first that the image lists.
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
	for _, arch := range known {
		needs.Arch = arch
		if slices.ContainsFunc(fleet, func(e schemas.Executor) bool { return e.State == executorUp && needs.SatisfiedBy(e.Facts) }) {
			return arch, nil
		}
	}
	return known[0], nil
}

// somebodyCan refuses a job that no executor could ever run, as far as is
// known. Before the first executor has registered nothing is known, and the
// job waits; one that is lost may come back.
func somebodyCan(needs schemas.Requires, fleet []schemas.Executor) error {
	if len(fleet) == 0 || slices.ContainsFunc(fleet, func(e schemas.Executor) bool { return needs.SatisfiedBy(e.Facts) }) {
		return nil
	}
	return kindNoExecutor.problem("no executor offers "+describeNeeds(needs)+"; on offer: "+onOffer(fleet),
		"GET /v1/executors lists what there is")
}

func describeNeeds(r schemas.Requires) string {
	parts := []string{r.Arch, r.Isolation + " isolation"}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("accelerator", r.Accel)
	add("kernel", r.Kernel)
	add("features", strings.Join(r.Features, " "))
	for _, k := range sortedKeys(r.Labels) {
		add("label", k+"="+r.Labels[k])
	}
	add("executor", r.Executor)
	return strings.Join(parts, ", ")
}

// maxOffers bounds how much of the fleet a problem document repeats.
const maxOffers = 20

func onOffer(fleet []schemas.Executor) string {
	var offers []string
	for _, e := range fleet {
		for _, o := range e.Offers {
			text := strings.TrimSpace(o.Arch + " " + o.Isolation + " " + o.Accel)
			if !slices.Contains(offers, text) && len(offers) < maxOffers {
				offers = append(offers, text)
			}
		}
	}
	if len(offers) == 0 {
		return "nothing"
	}
	return strings.Join(offers, ", ")
}

func listOf(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
