package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// allKinds stands for every kind of machine that is there.
const allKinds = "all"

// where is what --on says.
type where struct {
	// labels hold for all targets.
	labels  []string
	targets []producer.Target
	// all adds every kind that is there.
	all bool
}

// single reports whether the job runs on one target, as any other job does.
func (w where) single() bool { return len(w.targets) == 1 && !w.all }

// several reports whether results are to be compared.
func (w where) several() bool { return len(w.targets) > 1 || w.all }

// parseOn reads the values of --on: lists of targets, or one label.
func parseOn(values []string) (where, error) {
	var w where
	for _, v := range values {
		if isLabel(v) {
			if err := checkLabel(v); err != nil {
				return w, err
			}
			w.labels = append(w.labels, v)
			continue
		}
		for part := range strings.SplitSeq(v, ",") {
			if part == allKinds {
				w.all = true
				continue
			}
			t, err := producer.ParseTarget(part)
			if err != nil {
				return w, fmt.Errorf("--on: %w", err)
			}
			w.targets = append(w.targets, t)
		}
	}
	return w, nil
}

// isLabel tells KEY=VALUE from a target: a label's key has no kind of machine
// before its first slash.
func isLabel(v string) bool {
	key, _, ok := strings.Cut(v, "=")
	if !ok || strings.ContainsAny(key, ",:@") {
		return false
	}
	kind, _, slash := strings.Cut(key, "/")
	_, err := producer.ParseTarget(kind)
	return !slash || err != nil
}

// checkLabel refuses what is more likely meant as a list of targets than as a
// label whose value has a comma.
func checkLabel(v string) error {
	key, value, _ := strings.Cut(v, "=")
	first, rest, list := strings.Cut(value, ",")
	if !list {
		return nil
	}
	again, _, _ := strings.Cut(rest, ",")
	_, err := producer.ParseTarget(again)
	if err == nil || again == allKinds || strings.HasPrefix(again, key+"=") {
		return errors.New(labelIsNoTarget(key+"="+first, again))
	}
	return nil
}

// completionPatience is how long a shell waits for the gateway's word.
const completionPatience = 2 * time.Second

// completeOn offers what is there: kinds of machine, and executors by name. In a
// list, the last target is completed.
func (a *app) completeOn(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	const nothingElse = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	before := typed[:strings.LastIndex(typed, ",")+1]
	words := []string{before + allKinds}
	ctx, stop := context.WithTimeout(cmd.Context(), completionPatience)
	defer stop()
	c, err := a.client()
	if err != nil {
		return words, nothingElse
	}
	fleet, err := c.Executors(ctx)
	if err != nil {
		return words, nothingElse
	}
	for _, t := range producer.Kinds(fleet, schemas.Requires{}) {
		words = append(words, before+t.Name)
	}
	for _, e := range fleet {
		words = append(words, before+"executor:"+e.Executor)
	}
	return words, nothingElse
}
