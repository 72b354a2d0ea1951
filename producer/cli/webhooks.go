package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhooks", Short: webhooksShort, Long: webhooksLong, Example: webhooksExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.webhookListCommand(), a.webhookAddCommand(), a.webhookSwitchCommand("enable", webhookEnableShort, webhookEnableExample, true),
		a.webhookSwitchCommand("disable", webhookDisableShort, webhookDisableExample, false), a.webhookRemoveCommand(), a.webhookTestCommand(),
		a.deliveriesCommand(), a.replayCommand(), a.webhookSecretCommand())
	return cmd
}

func (a *app) webhookListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: webhookListShort, Example: webhookListExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Webhooks(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(schemas.WebhookList{Webhooks: list})
			}
			t := a.table("WEBHOOK", "STATE", "URL", "EVENTS", "LABELS")
			for _, w := range list {
				t.add(w.ID, webhookState(w, a.now()), printable(w.URL), eventWords(w.Events), labelWords(w.Labels))
			}
			return t.write()
		},
	}
}

func webhookState(w schemas.Webhook, now time.Time) string {
	switch {
	case w.Disabled != "":
		return "disabled: " + printable(w.Disabled)
	case !w.Enabled:
		return "disabled"
	case w.FailingUS != 0:
		return "failing since " + formatAge(now, w.FailingUS)
	}
	return "enabled"
}

// eventWords has all ends of jobs, which most webhooks are told of, in one word.
func eventWords(events []string) string {
	words := strings.Join(events, " ")
	if rest, ok := strings.CutPrefix(words, strings.Join(schemas.JobEvents, " ")); ok {
		words = "job.*" + rest
	}
	return printable(words)
}

func (a *app) webhookAddCommand() *cobra.Command {
	var events, labels []string
	cmd := &cobra.Command{
		Use: "add URL", Short: webhookAddShort, Long: webhookAddLong, Example: webhookAddExample, Args: exactly(1, "URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec := schemas.WebhookSpec{URL: args[0], Events: events}
			if err := pairs(&spec.Labels, "label", labels); err != nil {
				return err
			}
			if problems := spec.Validate(); len(problems) > 0 {
				return usage(fmt.Errorf("%s %s", strings.TrimPrefix(problems[0].Pointer, "/"), problems[0].Message))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.CreateWebhook(cmd.Context(), spec)
			if err != nil {
				return err
			}
			return a.say(w, w.ID, w.Secret)
		},
	}
	cmd.Flags().StringArrayVar(&events, "event", nil, helpEvent)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, helpWithLabel)
	_ = cmd.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(schemas.WebhookEvents, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// say prints a line, or the document that it is about.
func (a *app) say(document any, lines ...string) error {
	if a.json {
		return a.print(document)
	}
	return a.write([]byte(printable(strings.Join(lines, " ")) + "\n"))
}

func (a *app) webhookSwitchCommand(name, short, example string, enabled bool) *cobra.Command {
	return &cobra.Command{
		Use: name + " WEBHOOK", Short: short, Example: example, Args: exactly(1, "WEBHOOK"), ValidArgsFunction: a.completeWebhook,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.UpdateWebhook(cmd.Context(), args[0], schemas.WebhookPatch{Enabled: &enabled})
			if err != nil {
				return err
			}
			return a.say(w, w.ID, webhookState(w, a.now()))
		},
	}
}

func (a *app) webhookRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove WEBHOOK", Short: webhookRemoveShort, Example: webhookRemoveExample, Args: exactly(1, "WEBHOOK"), ValidArgsFunction: a.completeWebhook,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return c.RemoveWebhook(cmd.Context(), args[0])
		},
	}
}

// errNotDelivered has been told.
var errNotDelivered = &codedError{code: exitError}

func (a *app) webhookTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test WEBHOOK", Short: webhookTestShort, Long: webhookTestLong, Example: webhookTestExample, Args: exactly(1, "WEBHOOK"), ValidArgsFunction: a.completeWebhook,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.TestWebhook(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				err = a.print(d)
			} else {
				err = a.write([]byte(d.State + ": " + sentWords(d.Last) + "\n"))
			}
			if err == nil && d.State != schemas.DeliveryDelivered {
				return errNotDelivered
			}
			return err
		},
	}
}

func sentWords(t *schemas.DeliveryAttempt) string {
	switch {
	case t == nil:
		return "not sent yet"
	case t.Error != "":
		return printable(t.Error)
	}
	return strconv.Itoa(t.Status) + " in " + formatSpan(time.Duration(t.TookMS)*time.Millisecond)
}

func (a *app) deliveriesCommand() *cobra.Command {
	var f producer.DeliveryFilter
	limit := 20
	cmd := &cobra.Command{
		Use: "deliveries", Short: deliveriesShort, Long: deliveriesLong, Example: deliveriesExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.deliveries(cmd.Context(), f, limit)
			if err != nil {
				return err
			}
			if a.json {
				return a.print(schemas.DeliveryList{Deliveries: list})
			}
			t := a.table("DELIVERY", "STATE", "EVENT", "OF", "CREATED", "SENT", "LAST", "URL")
			for _, d := range list {
				t.add(d.ID, d.State, printable(d.Event), printable(cmp.Or(d.Job, d.Campaign)), formatAge(a.now(), d.CreatedUS), strconv.Itoa(d.Attempts)+"x", lastWords(d), printable(d.URL))
			}
			return t.write()
		},
	}
	a.filterFlags(cmd, &f)
	cmd.Flags().StringVar(&f.State, "state", "", helpDeliveryState)
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, helpLimit)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(schemas.DeliveryStates, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) filterFlags(cmd *cobra.Command, f *producer.DeliveryFilter) {
	cmd.Flags().StringVar(&f.Webhook, "webhook", "", helpOfWebhook)
	_ = cmd.RegisterFlagCompletionFunc("webhook", a.completeWebhook)
}

func lastWords(d schemas.Delivery) string {
	if d.Last == nil && d.Reason != "" {
		return printable(d.Reason)
	}
	return sentWords(d.Last)
}

// deliveries lists up to limit; 0 for all.
func (a *app) deliveries(ctx context.Context, f producer.DeliveryFilter, limit int) ([]schemas.Delivery, error) {
	if f.State != "" && !slices.Contains(schemas.DeliveryStates, f.State) {
		return nil, usage(fmt.Errorf("--state %s: want one of %s", printable(f.State), strings.Join(schemas.DeliveryStates, ", ")))
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	list := []schemas.Delivery{}
	for d, err := range c.Deliveries(ctx, f) {
		if err != nil {
			return nil, err
		}
		if list = append(list, d); limit > 0 && len(list) == limit {
			break
		}
	}
	return list, nil
}

func (a *app) replayCommand() *cobra.Command {
	f := producer.DeliveryFilter{State: schemas.DeliveryFailed}
	failed := false
	cmd := &cobra.Command{
		Use: "replay DELIVERY...", Short: replayShort, Long: replayLong, Example: replayExample,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case (len(args) == 0) != failed:
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "DELIVERY..., or --failed")))
			case f.Webhook != "" && !failed:
				return usage(errors.New(webhookWantsFailed))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, ids []string) error {
			if failed {
				list, err := a.deliveries(cmd.Context(), f, 0)
				if err != nil {
					return err
				}
				for _, d := range list {
					if d.Event != schemas.EventWebhookTest {
						ids = append(ids, d.ID)
					}
				}
			}
			return a.replay(cmd.Context(), ids)
		},
	}
	a.filterFlags(cmd, &f)
	cmd.Flags().BoolVar(&failed, "failed", false, helpFailed)
	return cmd
}

func (a *app) replay(ctx context.Context, ids []string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	return a.each(ids, func(id string) error {
		d, err := c.ReplayDelivery(ctx, id)
		if err != nil {
			return fmt.Errorf("replay %s: %w", printable(id), err)
		}
		return a.say(d, d.ID, d.State)
	})
}

func (a *app) webhookSecretCommand() *cobra.Command {
	rotate := false
	overlap := restFlag(time.Duration(schemas.OverlapRange.Default) * time.Millisecond)
	cmd := &cobra.Command{
		Use: "secret [WEBHOOK]", Short: webhookSecretShort, Long: webhookSecretLong, Example: webhookSecretExample, ValidArgsFunction: a.completeWebhook,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "at most one WEBHOOK")))
			case len(args) == 1 && !rotate:
				return usage(errors.New(secretIsNotTold))
			case cmd.Flags().Changed("overlap") && !rotate:
				return usage(errors.New(overlapWantsRotate))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.webhookSecret(cmd.Context(), args, rotate, time.Duration(overlap))
		},
	}
	cmd.Flags().BoolVar(&rotate, "rotate", false, helpRotate)
	cmd.Flags().Var(&overlap, "overlap", helpOverlap)
	return cmd
}

func (a *app) webhookSecret(ctx context.Context, args []string, rotate bool, overlap time.Duration) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		w, err := c.RotateWebhook(ctx, args[0], overlap)
		if err != nil {
			return err
		}
		return a.say(w, w.Secret)
	}
	secret := schemas.CallbackSecret{}
	if rotate {
		secret, err = c.RotateCallbackSecret(ctx, overlap)
	} else {
		secret, err = c.CallbackSecret(ctx)
	}
	if err != nil {
		return err
	}
	return a.say(secret, secret.Secret)
}

func (a *app) completeWebhook(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.Webhooks(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, w := range list {
		ids = append(ids, w.ID+"\t"+printable(w.URL))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
