package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/internal/settings"
)

// removal is what came of removing a snapshot.
type removal struct {
	ID    string `json:"id"`
	Freed int64  `json:"freed_bytes"`
	Why   string `json:"why,omitempty"` // it stays
}

func (t *vmTool) remove() *cobra.Command {
	var aside bool
	cmd := &cobra.Command{
		Use:     "rm ID…",
		Aliases: []string{"remove"},
		Short:   "Remove snapshots that nobody uses",
		Long: `Remove snapshots. One that is in use stays, and the exit code is 1. A job that wants
one that is gone bakes it anew.`,
		Example: `  ped vm rm 3f9a 77c0
  ped vm rm --set-aside 3f9a   # the one that was set aside, not its successor`,
		Args:              atLeast(1),
		ValidArgsFunction: t.completeID(0),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := t.store()
			if err != nil {
				return err
			}
			lookup, list, remove := store.Find, store.List, store.Remove
			if aside {
				lookup, list, remove = store.FindAside, store.Aside, store.RemoveAside
			}
			ids, err := find(lookup, args)
			if err != nil {
				return err
			}
			sizes, err := sizesOf(list)
			if err != nil {
				return err
			}
			return t.removeAll(ids, sizes, remove)
		},
	}
	cmd.Flags().BoolVar(&aside, "set-aside", false, "remove those that were set aside")
	return cmd
}

func sizesOf(list func() ([]snapshot.Info, error)) (map[string]int64, error) {
	all, err := list()
	sizes := map[string]int64{}
	for _, info := range all {
		sizes[info.ID] = info.Bytes
	}
	return sizes, err
}

func (t *vmTool) removeAll(ids []string, sizes map[string]int64, remove func(string) error) error {
	done, stay := []removal{}, false
	for _, id := range ids {
		err := remove(id)
		if err != nil && !errors.Is(err, snapshot.ErrInUse) {
			return err
		}
		r := removal{ID: id, Freed: sizes[id]}
		if err != nil {
			r.Freed, r.Why, stay = 0, snapshot.ErrInUse.Error(), true
		}
		if done = append(done, r); !t.json {
			t.printRemoval(r)
		}
	}
	if t.json {
		if err := t.printJSON(done); err != nil {
			return err
		}
	}
	if stay {
		return errReported
	}
	return nil
}

func (t *vmTool) printRemoval(r removal) {
	if r.Why != "" {
		fmt.Fprintf(t.stderr, "ped: %s stays: %s; it can go when the machines that were made of it have ended\n", short(r.ID), r.Why)
		return
	}
	fmt.Fprintf(t.stdout, "%s removed, %s freed\n", short(r.ID), sizeText(r.Freed))
}

// collection is what gc did, or would do.
type collection struct {
	DryRun  bool     `json:"dry_run"`
	Removed []string `json:"removed"`
	Freed   int64    `json:"freed_bytes"`
	Kept    int64    `json:"kept_bytes"`
	Budget  int64    `json:"budget_bytes"`
	InUse   []string `json:"in_use"`
}

func (t *vmTool) gc() *cobra.Command {
	var (
		budget settings.Size
		dryRun bool
	)
	cmd := &cobra.Command{
		Use:   "gc --budget SIZE",
		Short: "Remove the least recently used snapshots beyond a budget of disk",
		Long: `Remove snapshots until all of them take at most --budget of the disk: those that were
set aside first, then the least recently used. Those in use stay, even if that is
more than the budget.`,
		Example: `  ped vm gc --budget 10GiB --dry-run
  ped vm gc --budget 0         # all that nobody uses`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := t.store()
			if errors.Is(err, errNoStore) {
				return t.printCollection(collection{DryRun: dryRun, Budget: int64(budget)})
			}
			if err != nil {
				return err
			}
			return t.collect(cmd.Context(), store, int64(budget), dryRun)
		},
	}
	cmd.Flags().Var(&budget, "budget", "`SIZE` of the disk that snapshots may take (required)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "remove nothing, say what would go")
	require(cmd, "budget")
	return cmd
}

func (t *vmTool) collect(ctx context.Context, store *snapshot.Store, budget int64, dryRun bool) error {
	collect := store.GC
	if dryRun {
		collect = store.Plan
	}
	c, err := collect(ctx, budget)
	said := t.printCollection(collection{dryRun, c.Removed, c.Freed, c.Kept, budget, c.InUse})
	return errors.Join(err, said)
}

func (t *vmTool) printCollection(c collection) error {
	if t.json {
		c.Removed, c.InUse = append([]string{}, c.Removed...), append([]string{}, c.InUse...)
		return t.printJSON(c)
	}
	removed, freed := "removed", "freed"
	if c.DryRun {
		removed, freed = "would be removed", "would be free"
	}
	for _, id := range c.Removed {
		fmt.Fprintf(t.stdout, "%s %s\n", short(id), removed)
	}
	fmt.Fprintf(t.stdout, "%s %s, %s kept of a budget of %s", sizeText(c.Freed), freed, sizeText(c.Kept), sizeText(c.Budget))
	var busy []string
	for _, id := range c.InUse {
		busy = append(busy, short(id))
	}
	if len(busy) > 0 {
		fmt.Fprintf(t.stdout, "; in use, so they stay: %s", strings.Join(busy, " "))
	}
	_, err := fmt.Fprintln(t.stdout)
	return err
}
