package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cache", Short: cacheShort, Long: cacheLong, Example: cacheExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		a.cachePart("show", cacheShowShort, cacheShowExample, (*producer.Client).Cache),
		a.cachePart("clear", cacheClearShort, cacheClearExample, (*producer.Client).ClearCache),
	)
	return cmd
}

func (a *app) cachePart(name, short, example string, ask func(*producer.Client, context.Context) (schemas.CacheInfo, error)) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Example: example, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			info, err := ask(c, cmd.Context())
			if err != nil {
				return err
			}
			return a.showCache(info)
		},
	}
}

func (a *app) showCache(info schemas.CacheInfo) error {
	if a.json {
		return a.print(info)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "results\t%d\n", info.Entries)
	fmt.Fprintf(w, "jobs that took one\t%d\n", info.Hits)
	if info.ClearedUS > 0 {
		fmt.Fprintf(w, "cleared\t%s (%s)\n", time.UnixMicro(info.ClearedUS).Format(time.RFC3339), formatAge(a.now(), info.ClearedUS))
	}
	return w.Flush()
}
