package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) campaignCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "campaign", Short: campaignShort, Long: campaignLong, Example: campaignExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "create, list, show, close, wait or remove")))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.campaignCreateCommand(), a.campaignListCommand(),
		a.campaignPart("show", campaignShowShort, "", campaignShowExample, (*producer.Client).Campaign),
		a.campaignPart("close", campaignCloseShort, campaignCloseLong, campaignCloseExample, (*producer.Client).CloseCampaign),
		a.campaignWaitCommand(), a.campaignRemoveCommand())
	return cmd
}

func (a *app) campaignCreateCommand() *cobra.Command {
	var spec schemas.CampaignSpec
	callback := ""
	cmd := &cobra.Command{
		Use: "create NAME", Short: campaignCreateShort, Long: campaignCreateLong, Example: campaignCreateExample, Args: exactly(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !schemas.ValidCampaignName(args[0]) {
				return usage(errors.New(noCampaignName(args[0])))
			}
			if callback != "" {
				spec.Callback = &schemas.Callback{URL: callback}
			}
			if problems := spec.Validate(); len(problems) > 0 {
				return usage(fmt.Errorf("%s %s", strings.TrimPrefix(problems[0].Pointer, "/"), problems[0].Message))
			}
			return a.campaign(cmd.Context(), args[0], func(c *producer.Client, ctx context.Context, name string) (schemas.Campaign, error) {
				return c.CreateCampaign(ctx, name, spec)
			})
		},
	}
	cmd.Flags().StringVar(&callback, "callback", "", helpCampaignCallback)
	cmd.Flags().StringVar(&spec.Description, "description", "", helpDescription)
	return cmd
}

func (a *app) campaignListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: campaignListShort, Example: campaignListExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Campaigns(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.print(schemas.CampaignList{Campaigns: list})
			}
			t := a.table("CAMPAIGN", "STATE", "CREATED", "UNFINISHED", "JOBS", "DESCRIPTION")
			for _, one := range list {
				t.add(printable(one.Name), printable(one.State), formatAge(a.now(), one.CreatedUS), strconv.Itoa(one.Unfinished), countWords(one.Jobs), printable(one.Description))
			}
			return t.write()
		},
	}
}

// campaignPart is a command that asks one thing of a campaign, and shows it.
func (a *app) campaignPart(name, short, long, example string, ask campaignAsk) *cobra.Command {
	return &cobra.Command{
		Use: name + " NAME", Short: short, Long: long, Example: example, Args: exactly(1, "NAME"), ValidArgsFunction: a.completeCampaign,
		RunE: func(cmd *cobra.Command, args []string) error { return a.campaign(cmd.Context(), args[0], ask) },
	}
}

type campaignAsk func(c *producer.Client, ctx context.Context, name string) (schemas.Campaign, error)

func (a *app) campaign(ctx context.Context, name string, ask campaignAsk) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	one, err := ask(c, ctx, name)
	if err != nil {
		return err
	}
	return a.showCampaign(one)
}

func (a *app) showCampaign(one schemas.Campaign) error {
	if a.json {
		return a.print(one)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	at := func(us int64) string {
		if us == 0 {
			return ""
		}
		return time.UnixMicro(us).Format(time.RFC3339) + " (" + formatAge(a.now(), us) + ")"
	}
	row("campaign", printable(one.Name))
	row("state", printable(one.State))
	row("description", printable(one.Description))
	if one.Callback != nil {
		row("callback", printable(one.Callback.URL))
	}
	row("created", at(one.CreatedUS))
	row("closed", at(one.ClosedUS))
	row("ended", at(one.EndedUS))
	row("unfinished", strconv.Itoa(one.Unfinished))
	row("jobs", countWords(one.Jobs))
	return w.Flush()
}

// countWords are the counts in the order of a job's life: "2 queued, 3 succeeded".
func countWords(jobs map[schemas.State]int) string {
	var words []string
	for _, state := range schemas.States {
		if n := jobs[state]; n > 0 {
			words = append(words, strconv.Itoa(n)+" "+string(state))
		}
	}
	return strings.Join(words, ", ")
}

// errNotAllSucceeded has been told.
var errNotAllSucceeded = &codedError{code: exitError}

func (a *app) campaignWaitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "wait NAME", Short: campaignWaitShort, Long: campaignWaitLong, Example: campaignWaitExample, Args: exactly(1, "NAME"), ValidArgsFunction: a.completeCampaign,
		RunE: func(cmd *cobra.Command, args []string) error {
			var ended schemas.Campaign
			err := a.campaign(cmd.Context(), args[0], func(c *producer.Client, ctx context.Context, name string) (schemas.Campaign, error) {
				one, err := c.Campaign(ctx, name)
				if err != nil || one.State == schemas.CampaignEnded {
					ended = one
					return one, err
				}
				if one.State == schemas.CampaignOpen {
					a.note("%s", waitsForClose(name))
				}
				ended, err = c.WaitCampaign(ctx, name)
				return ended, err
			})
			for state, n := range ended.Jobs {
				if err == nil && n > 0 && state != schemas.StateSucceeded {
					return errNotAllSucceeded
				}
			}
			return err
		},
	}
}

func (a *app) campaignRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: campaignRemoveShort, Long: campaignRemoveLong, Example: campaignRemoveExample, Args: exactly(1, "NAME"), ValidArgsFunction: a.completeCampaign,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return c.RemoveCampaign(cmd.Context(), args[0])
		},
	}
}

func (a *app) completeCampaign(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.Campaigns(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, one := range list {
		names = append(names, one.Name+"\t"+printable(one.State))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
