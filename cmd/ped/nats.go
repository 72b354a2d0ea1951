package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/internal/jobqueue/natsconf"
)

func (a *app) nats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nats",
		Short: "Make keys and the configuration of a NATS server for gateways and executors",
		Long: `Make what a NATS server needs where gateways and executors run apart: a key for
each of them, and a configuration that lets each do its own work and no more.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(a.natsKey(), a.natsConfig())
	return cmd
}

func (a *app) natsKey() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Print the public key of the seed in a file, which is made if there is none",
		Long: `Print the public key (U…) of the seed in a file. If there is no such file, make a
key (an nkey: Ed25519) and write its seed there, for the file's owner alone.

The seed stays on the machine that uses it: --nats-nkey-file FILE. The public key
is no secret; it goes to whoever configures the NATS server.`,
		Example: `  ped nats key /etc/program-explorer/cellar.nk`,
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			public, err := natsconf.UserKey(args[0])
			if err == nil {
				_, err = fmt.Fprintln(a.stdout, public)
			}
			return err
		},
	}
}

func (a *app) natsConfig() *cobra.Command {
	var (
		c                   natsconf.Config
		gateways, executors []string
		only                bool
	)
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration of a NATS server, with a user for each gateway and executor",
		Long: `Print the configuration of a NATS server: JetStream that syncs every write, a user
for each gateway and one for each executor. An executor's user reads no bucket,
hears no other executor and makes or deletes nothing; --executor-id must be its name.

--only prints the users alone: to add one later, put the block into the list of users,
and have the server read its file again (nats-server --signal reload).`,
		Example: `  ped nats config --gateway main=UDGW… --executor cellar=UCEL… --executor attic=UATT… > nats-server.conf
  ped nats config --only --executor shed=USHE…`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			if c.Gateways, err = users("gateway", gateways); err != nil {
				return err
			}
			if c.Executors, err = users("executor", executors); err != nil {
				return err
			}
			write := natsconf.Write
			if only {
				write = natsconf.WriteUsers
			}
			if err := write(a.stdout, c); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&gateways, "gateway", nil, "`NAME=KEY` of gateways: the name is a comment, several gateways may share a key; repeat for more")
	f.StringArrayVar(&executors, "executor", nil, "`ID=KEY` of an executor; repeat for more")
	f.BoolVar(&only, "only", false, "print the users alone")
	f.StringVar(&c.Name, "name", "program-explorer", "`NAME` of the server, unique in its cluster")
	f.StringVar(&c.Listen, "listen", "0.0.0.0:4222", "`ADDRESS` at which it listens")
	f.StringVar(&c.StoreDir, "store-dir", "/var/lib/nats", "`DIR` in which it keeps everything")
	f.StringVar(&c.TLSCert, "tls-cert", "", "PEM `FILE` of its certificate, on its machine")
	f.StringVar(&c.TLSKey, "tls-key", "", "PEM `FILE` of the certificate's key, on its machine")
	return cmd
}

func users(flag string, pairs []string) (all []natsconf.User, err error) {
	for _, pair := range pairs {
		name, key, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("%s %q: want NAME=KEY; ped nats key prints the key", flag, pair)}
		}
		all = append(all, natsconf.User{Name: name, Key: key})
	}
	return all, nil
}
