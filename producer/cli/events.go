package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) eventsCommand() *cobra.Command {
	var q producer.EventsQuery
	var states, labels []string
	cmd := &cobra.Command{
		Use: "events", Short: eventsShort, Long: eventsLong, Example: eventsExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := selected(states, labels)
			if err != nil {
				return err
			}
			q.States, q.Labels = f.States, f.Labels
			return a.events(cmd.Context(), q)
		},
	}
	cmd.Flags().StringArrayVar(&states, "state", nil, helpState)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, helpHasLabel)
	cmd.Flags().StringVar(&q.Since, "since", "", helpSince)
	cmd.Flags().BoolVar(&q.Output, "output", false, helpEventsOutput)
	return cmd
}

func (a *app) events(ctx context.Context, q producer.EventsQuery) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	for n, err := range c.Events(ctx, q) {
		if err == nil && a.json {
			err = a.printNews(n)
		} else if err == nil {
			err = a.showNews(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showNews is a line for each change of a job, and one for each line of output.
func (a *app) showNews(n producer.JobNews) error {
	var lines bytes.Buffer
	switch n.Kind {
	case schemas.JobEventsJob:
		e := n.Event
		state := stateWords(schemas.Job{State: e.State, Cancelling: e.Cancelling, Outcome: e.Outcome, Failure: e.Failure})
		fmt.Fprintf(&lines, "%s  %s", e.Job, state)
		if e.State == schemas.StateRunning {
			fmt.Fprintf(&lines, " (attempt %d on %s)", e.Attempt, printable(e.Executor))
		}
		if words := labelWords(e.Labels); words != "" {
			fmt.Fprintf(&lines, "  %s", words)
		}
		lines.WriteByte('\n')
	case schemas.StreamStdout, schemas.StreamStderr:
		for line := range bytes.Lines(n.Data) {
			fmt.Fprintf(&lines, "%s  %s: %s\n", n.Job, n.Kind, printable(string(bytes.TrimSuffix(line, []byte("\n")))))
		}
	case schemas.JobEventsLost:
		fmt.Fprintf(&lines, "%s  there was more output, which the gateway's object store has lost\n", n.Job)
	}
	return a.write(lines.Bytes())
}

// printNews writes what the gateway sent as one line of JSON.
func (a *app) printNews(n producer.JobNews) error {
	line := struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		Data  any    `json:"data"`
	}{ID: n.ID, Event: n.Kind}
	switch n.Kind {
	case schemas.JobEventsBegin:
		line.Data = schemas.JobEventsBeginning{Outputs: n.Outputs}
	case schemas.JobEventsJob:
		line.Data = n.Event
	case schemas.JobEventsLost:
		line.Data = schemas.JobOutputLost{Job: n.Job, Attempt: n.Attempt}
	default:
		line.Data = schemas.JobText{Job: n.Job, Attempt: n.Attempt, StreamText: schemas.NewStreamText(n.Offset, n.Data)}
	}
	data, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return a.write(append(data, '\n'))
}
