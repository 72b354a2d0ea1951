package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configCommand shows the settings of the commands that have them.
func (a *app) configCommand(roles ...*cobra.Command) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config [up|gateway|executor]",
		Short: "Print the settings in force and where each comes from",
		Long: `Print every setting of a command (default: up) as it is in force, and where it
comes from: a flag, the environment, a line of the configuration file, or the
default. Secrets are hidden. The command's own flags may follow.`,
		Example: `  ped config
  PED_SLOTS=4 ped config executor --label site=cellar`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.printConfig(a.settings[roles[0]], asJSON) },
	}
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")
	for _, role := range roles {
		set := a.settings[role]
		child := &cobra.Command{
			Use:     role.Name(),
			Short:   "Print the settings of ped " + role.Name(),
			Example: "  ped config " + role.Name() + "\n  ped config " + role.Name() + ` --json | jq -r '.[] | select(.origin != "default") | .name'`,
			Args:    noArgs,
			RunE:    func(*cobra.Command, []string) error { return a.printConfig(set, asJSON) },
		}
		child.Flags().AddFlagSet(set)
		cmd.AddCommand(child)
	}
	return cmd
}

func (a *app) printConfig(set *pflag.FlagSet, asJSON bool) error {
	values, err := a.inForce(set)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(values)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, v := range values {
		value := v.Value
		if value == "" {
			value = `""`
		}
		fmt.Fprintf(w, "%s:\t%s\t# %s\n", v.Name, value, v.Origin)
	}
	return w.Flush()
}
