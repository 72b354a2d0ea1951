package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/internal/roles"
)

// shortID is how many digits of a snapshot's id are shown.
const shortID = 12

// vmTool is what the commands that work on baked machines share. They may be used while
// an executor runs.
type vmTool struct {
	*app
	data dataFlags
	json bool
}

func (a *app) vm() *cobra.Command {
	t := &vmTool{app: a}
	cmd := &cobra.Command{
		Use:   "vm",
		Short: "Bake, list, verify, copy, remove and measure snapshots of machines",
		Long: `Work on the snapshots of this machine: virtual machines that were booted, had their
image mounted and warmed up once, and are restored for each job since. They are in
DATA-DIR/snapshots. All of it may be used while an executor runs: a snapshot in use is
never removed.

ID is a snapshot's id or its beginning, at least 4 digits that no other begins with.`,
		Example: `  ped vm bake --catalog catalog.yaml gcc
  ped vm list
  ped vm gc --budget 10GiB`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(t.bake(), t.bench())
	for _, child := range []*cobra.Command{t.list(), t.clone(), t.verify(), t.remove(), t.gc()} {
		child.Flags().BoolVar(&t.json, "json", false, "print JSON")
		cmd.AddCommand(a.configured(child, t.data.bind(a.getenv)))
	}
	return cmd
}

// errNoStore is a data directory in which nothing was ever baked.
var errNoStore = errors.New("nothing was baked here yet")

// store opens the snapshots. It makes no folder: that is the executor's, or the bake's.
func (t *vmTool) store() (*snapshot.Store, error) {
	dir := roles.SnapshotDir(t.data.dir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open snapshots in %s: %w: use ped vm bake, or name another --data-dir", dir, errNoStore)
	}
	return snapshot.Open(snapshot.Config{Dir: dir})
}

// find completes ids that may be abbreviated.
func find(lookup func(prefix string) (string, error), prefixes []string) ([]string, error) {
	var ids []string
	for _, p := range prefixes {
		id, err := lookup(p)
		if errors.Is(err, snapshot.ErrNotFound) {
			err = fmt.Errorf("%w (ped vm list shows what there is)", err)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// completeID offers the ids that begin as typed, n of them at most in one command; 0: any number.
func (t *vmTool) completeID(n int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if n > 0 && len(args) >= n {
			return nil, cobra.ShellCompDirectiveDefault // the shell's own: files
		}
		if t.load(cmd) != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		store, err := t.store()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, err := machinesOf(store)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var offers []string
		for _, m := range all {
			if strings.HasPrefix(m.ID, typed) && !slices.Contains(args, short(m.ID)) {
				offers = append(offers, cobra.CompletionWithDesc(short(m.ID), strings.TrimSpace(m.Image+" "+m.State)))
			}
		}
		return offers, cobra.ShellCompDirectiveNoFileComp
	}
}

// interrupted says so, in a word where that is all that went wrong.
func interrupted(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case errors.Is(err, context.Cause(ctx)):
		return errors.New("interrupted")
	}
	return fmt.Errorf("interrupted: %w", err)
}

func short(id string) string { return id[:min(len(id), shortID)] }

// oneLine makes errors that were joined fit for a table.
func oneLine(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", ": ")
}

func (t *vmTool) printJSON(v any) error {
	return json.NewEncoder(t.stdout).Encode(v)
}

// sizeText is a size for people: what disks and memory are counted in.
func sizeText(bytes int64) string {
	switch {
	case bytes > 0 && bytes%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 10<<20 || bytes == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%d KiB", (bytes+1023)>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}
