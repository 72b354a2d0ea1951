package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/schemas"
)

func (a *app) imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "images", Short: imagesShort, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Images(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(list)
			}
			w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tARCHS\tREFERENCE\tDESCRIPTION")
			for _, i := range list.Images {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(i.Name), printable(strings.Join(i.Archs, ",")), printable(i.Reference), printable(i.Description))
			}
			return w.Flush()
		},
	}
}

func (a *app) executorsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "executors", Short: executorsShort, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Executors(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(schemas.ExecutorList{Executors: append([]schemas.Executor{}, list...)})
			}
			return a.executorTable(list)
		},
	}
}

// executorTable has a line for each kind of machine that an executor offers.
func (a *app) executorTable(list []schemas.Executor) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "EXECUTOR\tSTATE\tBUSY\tSEEN\tARCH\tISOLATION\tKERNEL\tCPU")
	now := a.now()
	slices.SortFunc(list, func(x, y schemas.Executor) int { return cmp.Compare(x.Executor, y.Executor) })
	for _, e := range list {
		head := fmt.Sprintf("%s\t%s\t%d/%d\t%s", printable(e.Executor), printable(e.State), e.Busy, e.Slots, formatAge(now, e.SeenUS))
		if len(e.Offers) == 0 {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\n", head)
		}
		for _, o := range e.Offers {
			isolation := o.Isolation
			if o.Accel != "" {
				isolation += " (" + o.Accel + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", head, printable(o.Arch), printable(isolation), printable(o.Kernel), printable(cmp.Or(o.CPUModel, e.CPUModel)))
			head = "\t\t\t"
		}
	}
	return w.Flush()
}
