package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
)

// What becomes of a snapshot, as it is listed.
const (
	stateReady  = "ready"
	stateInUse  = "in use"
	stateBroken = "broken"    // Why says what is wrong; it is set aside when a job wants it
	stateAside  = "set aside" // out of use, for a look
)

// machineInfo is a snapshot as it is listed.
type machineInfo struct {
	ID     string `json:"id"`
	Image  string `json:"image"`
	Digest string `json:"digest,omitempty"` // the image's
	Arch   string `json:"arch"`
	Memory int64  `json:"memory_bytes"`
	CPUs   int    `json:"cpus"`
	Warmup int    `json:"warmup_commands"`
	// Disk is what would be free without it.
	Disk   int64        `json:"disk_bytes"`
	Pin    snapshot.How `json:"pin"`
	Baked  time.Time    `json:"baked"`
	BakeMS int64        `json:"bake_ms"`
	Used   time.Time    `json:"used"`
	State  string       `json:"state"`
	Why    string       `json:"why,omitempty"`
}

func (t *vmTool) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the snapshots, the least recently used first, and those set aside",
		Long: `List the snapshots, the least recently used first, then those that were set aside
because they could not be restored. DISK is what would be free without it; PIN is how
the image's root filesystem came into it: a hard link costs nothing.`,
		Example: `  ped vm list
  ped vm list --json | jq -r '.[] | select(.state == "broken") | .id'`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			all := []machineInfo{}
			store, err := t.store()
			if err == nil {
				all, err = machinesOf(store)
			}
			if err != nil && !errors.Is(err, errNoStore) {
				return err
			}
			if t.json {
				return t.printJSON(all)
			}
			return printMachines(t.stdout, all)
		},
	}
}

// machinesOf describes all of a store's snapshots.
func machinesOf(store *snapshot.Store) ([]machineInfo, error) {
	ready, err := store.List()
	if err != nil {
		return nil, err
	}
	aside, err := store.Aside()
	if err != nil {
		return nil, err
	}
	all := []machineInfo{}
	for _, info := range ready {
		state := stateReady
		switch {
		case info.Err != nil:
			state = stateBroken
		case info.InUse:
			state = stateInUse
		}
		all = append(all, describe(info, state))
	}
	for _, info := range aside {
		all = append(all, describe(info, stateAside))
	}
	return all, nil
}

func describe(info snapshot.Info, state string) machineInfo {
	m := info.Manifest
	d := machineInfo{
		ID: info.ID, Memory: m.Key.Memory, Warmup: len(m.Key.Warmup), Disk: info.Bytes, Pin: m.Pin,
		BakeMS: m.BakeMS, Used: info.Used, State: state, Why: oneLine(info.Err),
	}
	if m.BakedUS > 0 {
		d.Baked = m.Baked()
	}
	if note, err := vm.ReadNote(m); err == nil {
		d.Image, d.Digest, d.Arch, d.CPUs = note.Image, note.Digest, note.Arch, note.CPUs
	}
	return d
}

func printMachines(to io.Writer, all []machineInfo) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tIMAGE\tARCH\tMEMORY\tCPUS\tDISK\tPIN\tBAKED\tTOOK\tUSED\tSTATE")
	for _, m := range all {
		state := m.State
		if m.Why != "" {
			state += ": " + m.Why
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", short(m.ID), known(m.Image), known(m.Arch),
			known(positive(m.Memory, sizeText)), known(positive(int64(m.CPUs), func(n int64) string { return fmt.Sprint(n) })),
			sizeText(m.Disk), known(string(m.Pin)), timeText(m.Baked), known(positive(m.BakeMS, msText)), timeText(m.Used), state)
	}
	return w.Flush()
}

// known stands for what is not known, too.
func known(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func positive(n int64, text func(int64) string) string {
	if n <= 0 {
		return ""
	}
	return text(n)
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateTime)
}

func msText(ms int64) string { return fmt.Sprintf("%.1f s", float64(ms)/1000) }
