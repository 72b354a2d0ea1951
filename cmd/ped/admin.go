package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
)

// adminTool is what the commands for the operator of gateways share.
type adminTool struct {
	*app
	server string
	json   bool
}

func (a *app) admin() *cobra.Command {
	t := &adminTool{app: a}
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "What the operator of gateways does now and then",
		Long: `What the operator of gateways does now and then. A gateway is asked: --server, else
$PE_SERVER, else ` + producer.DefaultServer + `, with a token of the whole system that has the
scope admin in $PE_TOKEN. A gateway without tokens takes it without.`,
		Example: `  PE_TOKEN=… ped admin sweep --server https://pe.example.org --dry-run`,
		Args:    noArgs,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&t.server, "server", cmp.Or(a.getenv("PE_SERVER"), producer.DefaultServer), "`ADDRESS` of a gateway")
	flags.BoolVar(&t.json, "json", false, "print JSON")
	cmd.AddCommand(t.sweep())
	return cmd
}

func (t *adminTool) client() (*producer.Client, error) {
	return producer.New(producer.Config{Server: t.server, Token: t.getenv("PE_TOKEN"), UserAgent: "ped/" + version})
}
