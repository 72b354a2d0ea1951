package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/internal/settings"
)

// defaultConfig is read when it exists and nothing else is said.
const defaultConfig = "/etc/program-explorer/ped.yaml"

const (
	envPrefix = "PED_"
	envConfig = envPrefix + "CONFIG"
)

// app is what the commands share.
type app struct {
	environ        []string
	stdout, stderr io.Writer

	started bool   // a command's own code runs: errors before that are the caller's mistakes
	listens string // the flag with the address at which the command listens; default --listen

	config string         // --config
	known  *pflag.FlagSet // every setting of every command
	// settings are the flags of each command that environment and file may give, too.
	settings map[*cobra.Command]*pflag.FlagSet
}

func (a *app) root() *cobra.Command {
	a.known = pflag.NewFlagSet("ped", pflag.ContinueOnError)
	a.settings = make(map[*cobra.Command]*pflag.FlagSet)
	root := &cobra.Command{
		Use:   "ped",
		Short: "Program Explorer's daemon: gateway, executor, or both in one process",
		Long: `Program Explorer runs any OCI image on your files, in a machine of its own.
ped is its server side; pe is the client.

Settings come from flags, then from the environment (--data-dir is PED_DATA_DIR),
then from a YAML file: --config, else $PED_CONFIG, else ` + defaultConfig + `
if it exists. "ped config" prints what is in force and from where.

Exit codes: 0 done, 1 it did not work, 2 a mistake in flags or configuration.`,
		Example: `  ped up                                   # everything in one process, on 127.0.0.1:7300
  ped doctor                               # is this machine fit for it?
  ped image pull docker.io/library/gcc:14  # have an image ready before its first job`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.load(cmd) },
	}
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `FILE` (default $"+envConfig+", else "+defaultConfig+" if it exists)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())}
	})
	up, gateway, executor := a.up(), a.gateway(), a.executor()
	root.AddCommand(up, gateway, executor, a.image(), a.vm(), a.kernel(), a.token(), a.nats(), a.admin(), a.doctor(), a.configCommand(up, gateway, executor), a.versionCommand())
	a.noteStart(root)
	return root
}

// noteStart makes every command note that its own code has begun.
func (a *app) noteStart(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return run(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		a.noteStart(child)
	}
}

// configured gives a command settings: flags that environment and file may give, too.
func (a *app) configured(cmd *cobra.Command, groups ...*pflag.FlagSet) *cobra.Command {
	set := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	for _, g := range groups {
		set.AddFlagSet(g)
	}
	cmd.Flags().AddFlagSet(set)
	a.known.AddFlagSet(set)
	a.settings[cmd] = set
	return cmd
}

// load fills the settings of a command that has any.
func (a *app) load(cmd *cobra.Command) error {
	set := a.settings[cmd]
	if set == nil {
		return nil
	}
	_, err := a.inForce(set)
	return err
}

// inForce fills the settings and says where each value came from.
func (a *app) inForce(set *pflag.FlagSet) ([]settings.Value, error) {
	file, err := a.configFile()
	if err != nil {
		return nil, usageError{err}
	}
	values, err := settings.Load(set, settings.Config{
		Prefix: envPrefix, Environ: a.environ, File: file, Known: a.known, Skip: []string{envConfig},
	})
	if err != nil {
		return nil, usageError{err}
	}
	return values, nil
}

// configFile is the path of the file to read; empty for none.
func (a *app) configFile() (string, error) {
	if a.config != "" {
		return a.config, nil
	}
	if path := a.getenv(envConfig); path != "" {
		return path, nil
	}
	_, err := os.Stat(defaultConfig)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return defaultConfig, err
}

func (a *app) getenv(name string) string {
	for _, pair := range a.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
