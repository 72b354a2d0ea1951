package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/snapshot"
)

func (t *vmTool) clone() *cobra.Command {
	return &cobra.Command{
		Use:   "clone ID DIR",
		Short: "Copy a snapshot's files into a new folder, and say how each came there",
		Long: `Copy a snapshot's files into DIR, which is made. Each comes by the cheapest way that
the filesystem has: a reflink shares its blocks (btrfs, xfs), a hard link is the
same file (the root filesystem, to which nobody may write), a sparse copy takes
blocks for all but zeros.`,
		Example:           `  ped vm clone 3f9a /tmp/machine`,
		Args:              exactly(2),
		ValidArgsFunction: t.completeID(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := t.store()
			if err != nil {
				return err
			}
			ids, err := find(store.Find, args[:1])
			if err != nil {
				return err
			}
			snap, err := store.Acquire(cmd.Context(), ids[0])
			if err != nil {
				return err
			}
			defer snap.Release()
			ways, err := snap.Clone(args[1])
			if err != nil {
				return err
			}
			return t.printClone(ids[0], args[1], ways)
		},
	}
}

func (t *vmTool) printClone(id, dir string, ways map[string]snapshot.How) error {
	if t.json {
		return t.printJSON(struct {
			ID    string                  `json:"id"`
			Dir   string                  `json:"dir"`
			Files map[string]snapshot.How `json:"files"`
		}{id, dir, ways})
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		fmt.Fprintf(w, "%s\t%s\n", filepath.Join(dir, name), ways[name])
	}
	return w.Flush()
}
