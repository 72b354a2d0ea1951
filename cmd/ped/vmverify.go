package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/snapshot"
)

// verdict is what came of verifying a snapshot.
type verdict struct {
	ID       string `json:"id"`
	OK       bool   `json:"ok"`
	Why      string `json:"why,omitempty"`
	SetAside bool   `json:"set_aside"`
	MS       int64  `json:"ms"`
}

func (t *vmTool) verify() *cobra.Command {
	var aside bool
	cmd := &cobra.Command{
		Use:   "verify [ID…]",
		Short: "Read snapshots and compare every bit with what was baked",
		Long: `Read snapshots (default: all) and compare memory, state and root filesystem with the
digests that were noted at the bake. With --set-aside a broken one is taken out of
use, and is baked anew when a job wants it.

Exit code 1 means that one is broken.`,
		Example: `  ped vm verify
  ped vm verify --set-aside 3f9a`,
		ValidArgsFunction: t.completeID(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := t.store()
			if err != nil {
				return err
			}
			ids, err := verifiable(store, args)
			if err != nil {
				return err
			}
			check := store.Verify
			if aside {
				check = store.VerifyOrSetAside
			}
			return t.verifyAll(cmd.Context(), ids, check, aside)
		},
	}
	cmd.Flags().BoolVar(&aside, "set-aside", false, "take broken ones out of use")
	return cmd
}

// verifiable are the ids that were asked for, or all.
func verifiable(store *snapshot.Store, args []string) ([]string, error) {
	if len(args) > 0 {
		return find(store.Find, args)
	}
	all, err := store.List()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, info := range all {
		ids = append(ids, info.ID)
	}
	return ids, nil
}

func (t *vmTool) verifyAll(ctx context.Context, ids []string, check func(context.Context, string) error, aside bool) error {
	verdicts, broken := []verdict{}, 0
	for _, id := range ids {
		start := time.Now()
		err := check(ctx, id)
		if err != nil && !errors.Is(err, snapshot.ErrBroken) {
			return err
		}
		v := verdict{ID: id, OK: err == nil, Why: oneLine(err), SetAside: aside && err != nil, MS: time.Since(start).Milliseconds()}
		if err != nil {
			broken++
		}
		if verdicts = append(verdicts, v); !t.json {
			t.printVerdict(v) // at once: the next one may take long
		}
	}
	if t.json {
		if err := t.printJSON(verdicts); err != nil {
			return err
		}
	}
	if broken == 0 {
		return nil
	}
	if !aside {
		fmt.Fprintf(t.stderr, "ped: %d of %d snapshots broken: --set-aside takes them out of use, and jobs bake others\n", broken, len(ids))
	}
	return errReported
}

func (t *vmTool) printVerdict(v verdict) {
	switch {
	case v.OK:
		fmt.Fprintf(t.stdout, "%s  ok (%s)\n", short(v.ID), msText(v.MS))
	case v.SetAside:
		fmt.Fprintf(t.stdout, "%s  broken, set aside: %s\n", short(v.ID), v.Why)
	default:
		fmt.Fprintf(t.stdout, "%s  broken: %s\n", short(v.ID), v.Why)
	}
}
