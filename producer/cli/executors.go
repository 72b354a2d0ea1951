package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/schemas"
)

func (a *app) executorsCommand() *cobra.Command {
	wide := false
	cmd := &cobra.Command{
		Use: "executors [ID]", Short: executorsShort, Long: executorsLong, Example: executorsExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "at most one ID")))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Executors(cmd.Context())
			if err != nil {
				return err
			}
			slices.SortFunc(list, func(x, y schemas.Executor) int { return cmp.Compare(x.Executor, y.Executor) })
			if len(args) == 1 {
				return a.oneExecutor(list, args[0])
			}
			switch {
			case a.json:
				return a.print(schemas.ExecutorList{Executors: append([]schemas.Executor{}, list...)})
			case wide:
				return a.wideTable(list)
			}
			return a.executorTable(list)
		},
	}
	cmd.Flags().BoolVarP(&wide, "wide", "w", false, helpWide)
	return cmd
}

var executorColumns = []string{"EXECUTOR", "STATE", "BUSY", "SEEN", "OFFERS", "KERNEL", "LABELS"}

// executorTable has a line for each kind of machine that an executor offers; a
// kind is written as --on takes it.
func (a *app) executorTable(list []schemas.Executor) error {
	t := a.table(executorColumns...)
	for _, e := range list {
		head := []string{printable(e.Executor), printable(e.State), slotWords(e), formatAge(a.now(), e.SeenUS)}
		labels := labelWords(e.Labels)
		for _, o := range offersOf(e) {
			t.add(append(head, kindWords(o), printable(cmp.Or(o.Kernel, "-")), labels)...)
			head, labels = make([]string, len(head)), ""
		}
	}
	return t.write()
}

// wideTable says all that is to be said in a line, and cuts nothing.
func (a *app) wideTable(list []schemas.Executor) error {
	t := a.table("EXECUTOR", "STATE", "BUSY", "SEEN", "OFFERS", "KERNEL", "CPU", "FEATURES", "HOST", "VERSION", "OWNER", "LABELS", "RUNS")
	t.limit = 0
	for _, e := range list {
		head := []string{printable(e.Executor), printable(e.State), slotWords(e), formatAge(a.now(), e.SeenUS)}
		tail := []string{hostWords(e), printable(cmp.Or(e.Version, "-")), printable(cmp.Or(e.Owner, "-")), labelWords(e.Labels), runsWords(e)}
		for _, o := range offersOf(e) {
			cells := append(head, kindWords(o), printable(cmp.Or(o.Kernel, "-")), printable(cpuOf(e, o)), featureWords(o))
			t.add(append(cells, tail...)...)
			head, tail = make([]string, len(head)), make([]string, len(tail))
		}
	}
	return t.write()
}

// oneExecutor says everything of one, a line per fact.
func (a *app) oneExecutor(list []schemas.Executor, id string) error {
	i := slices.IndexFunc(list, func(e schemas.Executor) bool { return e.Executor == id })
	if i < 0 {
		return &codedError{exitServer, errors.New(noSuchExecutor(id, list))}
	}
	e := list[i]
	if a.json {
		return a.print(e)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("executor", "%s", printable(e.Executor))
	line("state", "%s, seen %s", printable(e.State), formatAge(a.now(), e.SeenUS))
	line("busy", "%s", slotWords(e))
	if words := runsWords(e); words != "" {
		line("runs", "%s", words)
	}
	if len(e.Labels) > 0 {
		line("labels", "%s", labelWords(e.Labels))
	}
	if e.Owner != "" || len(e.Tenants) > 0 {
		line("owner", "%s", ownerWords(e))
	}
	line("host", "%s", hostWords(e))
	line("version", "%s", printable(cmp.Or(e.Version, "-")))
	for _, o := range e.Offers {
		line("offers", "%s", kindWords(o))
		for _, f := range []struct{ name, value string }{
			{"kernel", o.Kernel}, {"cpu", cpuOf(e, o)}, {"chosen", o.AccelReason}, {"features", strings.Join(o.Features, " ")},
		} {
			if f.value != "" {
				line("  "+f.name, "%s", printable(f.value))
			}
		}
	}
	return w.Flush()
}

// offersOf gives one that has none a line all the same.
func offersOf(e schemas.Executor) []schemas.Offering {
	if len(e.Offers) == 0 {
		return []schemas.Offering{{}}
	}
	return e.Offers
}

func slotWords(e schemas.Executor) string { return fmt.Sprintf("%d/%d", e.Busy, e.Slots) }

// kindWords are a kind of machine as --on takes it.
func kindWords(o schemas.Offering) string {
	if o.Arch == "" {
		return "nothing"
	}
	words := o.Arch + "-" + o.Isolation
	if o.Accel != "" {
		words += "-" + o.Accel
	}
	return printable(words)
}

func cpuOf(e schemas.Executor, o schemas.Offering) string { return cmp.Or(o.CPUModel, e.CPUModel, "-") }

// ownerWords say whose it is and who else may name it in --executor. Of others'
// executors the gateway tells at most that one may.
func ownerWords(e schemas.Executor) string {
	words := printable(cmp.Or(e.Owner, "nobody"))
	switch {
	case slices.Contains(e.Tenants, schemas.AnyTenant):
		words += "; all may name it"
	case len(e.Tenants) > 0:
		words += "; may also be named by " + joinPrintable(e.Tenants)
	}
	return words
}

func hostWords(e schemas.Executor) string {
	words := []string{e.HostOS + "/" + e.HostArch}
	if e.HostKernel != "" {
		words = append(words, printable(e.HostKernel))
	}
	words = append(words, plural(e.CPUs, "cpu"))
	if e.MemoryBytes > 0 {
		words = append(words, formatBytes(e.MemoryBytes))
	}
	return strings.Join(words, ", ")
}

// runsWords name the jobs that one may see, and count the others.
func runsWords(e schemas.Executor) string {
	var words []string
	for _, h := range e.Held {
		words = append(words, printable(h.Job))
	}
	if others := e.Busy - len(e.Held); others > 0 && len(words) == 0 {
		return plural(others, "job") + " of others"
	} else if others > 0 {
		words = append(words, fmt.Sprintf("and %d of others", others))
	}
	return strings.Join(words, " ")
}

// notable are CPU features worth a column, the rarest first; of a chain in which
// each implies the next, the first that is there says all.
var notable = map[string][][]string{
	"amd64":   {{"avx512f", "avx2", "avx", "sse4_2", "sse2"}, {"amx_tile"}, {"sha_ni"}, {"aes"}},
	"arm64":   {{"sme"}, {"sve2", "sve"}, {"atomics"}, {"sha2"}, {"aes"}},
	"riscv64": {{"v"}, {"zvkned"}, {"zba"}, {"zbb"}, {"c"}},
}

// featureWords abbreviate: a processor has a hundred features. All are in the
// page of one executor.
func featureWords(o schemas.Offering) string {
	var words []string
	for _, chain := range notable[o.Arch] {
		if i := slices.IndexFunc(chain, func(f string) bool { return slices.Contains(o.Features, f) }); i >= 0 {
			words = append(words, chain[i])
		}
	}
	if others := len(o.Features) - len(words); others > 0 {
		words = append(words, fmt.Sprintf("+%d", others))
	}
	return cmp.Or(strings.Join(words, " "), "-")
}
