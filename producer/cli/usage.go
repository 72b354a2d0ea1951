package cli

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/schemas"
)

func (a *app) usageCommand() *cobra.Command {
	return &cobra.Command{
		Use: "usage", Short: usageShort, Long: usageLong, Example: usageExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			u, err := c.Usage(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(u)
			}
			return a.showUsage(u)
		},
	}
}

func (a *app) showUsage(u schemas.TenantUsage) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "tenant\t%s\n", u.Tenant)
	usageRow(w, "queued jobs", strconv.Itoa(u.Queued), u.MaxQueued > 0, strconv.Itoa(u.MaxQueued))
	usageRow(w, "running jobs", strconv.Itoa(u.Running), u.MaxRunning > 0, strconv.Itoa(u.MaxRunning))
	usageRow(w, "different requirements", strconv.Itoa(u.Requirements), u.MaxRequirements > 0, strconv.Itoa(u.MaxRequirements))
	counted := notCounted
	if u.CountedUS > 0 {
		counted = countedAt(formatAge(a.now(), u.CountedUS))
	}
	usageRow(w, "stored", formatBytes(u.StoredBytes)+counted, u.MaxStoredBytes > 0, formatBytes(u.MaxStoredBytes))
	fmt.Fprintf(w, "weight\t%d\n", u.Weight)
	if u.RequestsPerS > 0 {
		fmt.Fprintf(w, "requests\t%s\n", requestRate(u.RequestsPerS, u.RequestsAtOnce))
	}
	return w.Flush()
}

func usageRow(w io.Writer, what, now string, bounded bool, most string) {
	bound := noBound
	if bounded {
		bound = atMost(most)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\n", what, now, bound)
}
