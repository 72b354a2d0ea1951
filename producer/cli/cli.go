package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
)

// Main runs the command and returns its exit code.
func Main(ctx context.Context, p Process) int {
	a := &app{Process: p, screen: newScreen(p.Stdout, p.Stderr)}
	root := a.root()
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		// run deals with interrupts itself: they cancel its job.
		if cmd.Name() != "run" {
			go a.interruptible(ctx, cancel)
		}
	}
	err := root.ExecuteContext(ctx)
	a.screen.end()
	return a.report(err)
}

// interruptible ends the command at the first signal.
func (a *app) interruptible(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-a.Signals:
		cancel(errInterrupted)
	case <-ctx.Done():
	}
}

// asksJSON finds --json before the flags are parsed, so that an error in them is JSON too.
func asksJSON(args []string) bool {
	for _, arg := range args {
		switch arg {
		case "--json", "--json=true":
			return true
		case "--":
			return false
		}
	}
	return false
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "pe", Short: rootShort, Long: rootLong, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true, Version: a.Version,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(errors.New(unknownCommand(args[0])))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("pe {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(errors.New(flagText(cmd.CommandPath(), err)))
	})
	flags := root.PersistentFlags()
	server := a.Getenv("PE_SERVER")
	if server == "" {
		server = producer.DefaultServer
	}
	flags.StringVar(&a.server, "server", server, helpServer)
	flags.BoolVar(&a.json, "json", asksJSON(a.Args), helpJSON)
	flags.Lookup("json").DefValue = "false"
	flags.BoolVarP(&a.quiet, "quiet", "q", false, helpQuiet)
	a.token = a.Getenv("PE_TOKEN")
	root.AddCommand(a.runCommand(), a.submitCommand(), a.statusCommand(), a.waitCommand(), a.logsCommand(), a.outputsCommand(),
		a.cancelCommand(), a.jobsCommand(), a.deadCommand(), a.eventsCommand(), a.cacheCommand(), a.usageCommand(), a.campaignCommand(), a.webhooksCommand(), a.imagesCommand(), a.executorsCommand(), a.versionCommand())
	return root
}

// exactly is a check of the number of arguments that says what is wanted.
func exactly(n int, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(errors.New(wrongArguments(cmd.CommandPath(), wanted)))
		}
		return nil
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: versionShort, Args: exactly(0, ""),
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.print(map[string]string{"version": a.Version})
			}
			return a.write([]byte("pe " + a.Version + "\n"))
		},
	}
}

// readable opens what the user named: a file, or our stdin for "-".
func (a *app) readable(name string) (*os.File, error) {
	if name == "-" {
		if a.Stdin == nil {
			return nil, errors.New(noStdin)
		}
		return a.Stdin, nil
	}
	return os.Open(name)
}
