package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/internal/roles"
	"github.com/program-explorer/pe/internal/settings"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// tokenKeeper is where tokens are kept: behind a gateway, or the queue's bucket itself.
type tokenKeeper interface {
	CreateToken(context.Context, schemas.AccessTokenRequest) (schemas.NewAccessToken, error)
	Tokens(context.Context) ([]schemas.AccessToken, error)
	RevokeToken(ctx context.Context, id string) (schemas.AccessToken, error)
}

// tokenTool is what the commands that manage access tokens share.
type tokenTool struct {
	*app
	server string
	queue  queueFlags
	json   bool
}

func (a *app) token() *cobra.Command {
	t := &tokenTool{app: a}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke access tokens",
		Long: `Make, list and revoke the access tokens that gateways share. They are asked for at
a gateway: --server, else $PE_SERVER, else ` + producer.DefaultServer + `, with a token that has the scope
admin in $PE_TOKEN. A gateway that has no token yet takes the first one without.
With --nats-url the queue itself is asked, and no token is needed: for whoever
holds the credentials of a gateway.

Scopes: submit (upload, submit, cancel, retry and drop, clear the cache, test and
replay webhooks), read (everything that only reads), admin (both, tokens and
webhooks; of the whole system: sweeps). Tenant * is the whole system: such a token manages the tokens of
all tenants and reads what is nobody's own, such as /metrics, but runs no jobs.`,
		Example: `  ped token create --tenant '*' --scope admin --name operator
  PE_TOKEN=… ped token create --tenant alice --expires 30d
  PE_TOKEN=… ped token list`,
		Args: cobra.NoArgs,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&t.server, "server", cmp.Or(a.getenv("PE_SERVER"), producer.DefaultServer), "`ADDRESS` of a gateway")
	flags.AddFlagSet(t.queue.bind(" (default: a gateway is asked)"))
	flags.BoolVar(&t.json, "json", false, "print JSON")
	cmd.AddCommand(t.create(), t.list(), t.revoke())
	return cmd
}

// keeper opens what was asked for.
func (t *tokenTool) keeper(ctx context.Context) (k tokenKeeper, done func(), err error) {
	if t.queue.url == "" {
		client, err := producer.New(producer.Config{Server: t.server, Token: t.getenv("PE_TOKEN"), UserAgent: "ped/" + version})
		return client, func() {}, err
	}
	queue, err := t.queue.config("token", nil)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, natsPatience)
	defer cancel()
	bucket, err := roles.OpenTokens(ctx, queue)
	if err != nil {
		return nil, nil, err
	}
	return bucket, bucket.Close, nil
}

// natsPatience is how long a command waits for a queue that cannot be reached.
const natsPatience = 10 * time.Second

func (t *tokenTool) create() *cobra.Command {
	var (
		want    schemas.AccessTokenRequest
		scopes  []string
		expires settings.Lifetime
		file    string
	)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token and print its secret, which is shown this once",
		Long: `Make a token and print its secret, which is shown this once and kept nowhere.

--token-file writes a line for the gateway's token file instead, with the secret's
digest alone: the first token of a gateway that other machines can reach, or the way
back in for whoever has locked himself out.`,
		Example: `  ped token create --tenant '*' --scope admin --name operator
  PE_TOKEN=… ped token create --tenant alice --scope submit --scope read --expires 30d
  ped token create --token-file /etc/program-explorer/tokens --tenant '*' --scope admin`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range scopes {
				want.Scopes = append(want.Scopes, schemas.Scope(s))
			}
			want.LifetimeMS = time.Duration(expires).Milliseconds()
			if want.LifetimeMS > schemas.MaxTokenLifetimeMS || expires > 0 && time.Duration(expires) < time.Second {
				return usageError{fmt.Errorf("expires %s: want a second to ten years", expires)}
			}
			return t.make(cmd.Context(), want, file)
		},
	}
	f := cmd.Flags()
	f.StringVar(&want.Tenant, "tenant", "", "`TENANT` whose it is: 1 to 40 of a-z, 0-9 and -, or * (default: as the token that makes it)")
	f.StringSliceVar(&scopes, "scope", nil, "`SCOPE`: submit, read or admin; repeat for more (default submit and read)")
	f.StringVar(&want.Name, "name", "", "`TEXT` that says what it is for")
	f.Var(&expires, "expires", "`TIME` after which it expires: 12h, 30d, or forever")
	f.StringVar(&file, "token-file", "", "`FILE` to write a line for it to; no gateway is asked")
	return cmd
}

func (t *tokenTool) make(ctx context.Context, want schemas.AccessTokenRequest, file string) error {
	made, err := t.made(ctx, want, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.stderr, "ped: token %s of tenant %s: %s; %s\n", made.ID, made.Tenant, scopeNames(made.Scopes), expiry(made.ExpiresUS))
	switch {
	case file != "":
		fmt.Fprintf(t.stderr, "ped: give gateways --token-file %s; they read it when they start\n", file)
	case t.queue.url == "" && made.Creator == "":
		fmt.Fprintln(t.stderr, "ped: this is the first token: from now on every request needs one; jobs so far are of the tenant "+schemas.SingleTenant)
	}
	if t.json {
		return json.NewEncoder(t.stdout).Encode(made)
	}
	_, err = fmt.Fprintln(t.stdout, made.Secret)
	return err
}

func (t *tokenTool) made(ctx context.Context, want schemas.AccessTokenRequest, file string) (schemas.NewAccessToken, error) {
	if file != "" {
		if want.LifetimeMS != 0 {
			return schemas.NewAccessToken{}, usageError{errors.New("tokens of a token file do not expire: leave --expires out")}
		}
		return roles.AppendToken(file, want)
	}
	keeper, done, err := t.keeper(ctx)
	if err != nil {
		return schemas.NewAccessToken{}, err
	}
	defer done()
	return keeper.CreateToken(ctx, want)
}

func (t *tokenTool) list() *cobra.Command {
	var (
		all    bool
		tenant string
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List tokens, the newest first",
		Example: `  ped token list --tenant alice --all`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keeper, done, err := t.keeper(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			tokens, err := keeper.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			shown := []schemas.AccessToken{}
			now := time.Now().UnixMicro()
			for _, token := range tokens {
				if (all || token.State(now) == "active") && (tenant == "" || token.Tenant == tenant) {
					shown = append(shown, token)
				}
			}
			return t.print(shown, now)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those that have expired or were revoked, too")
	cmd.Flags().StringVar(&tenant, "tenant", "", "of this `TENANT` alone")
	return cmd
}

func (t *tokenTool) print(tokens []schemas.AccessToken, now int64) error {
	if t.json {
		return json.NewEncoder(t.stdout).Encode(tokens)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tSCOPES\tSTATE\tCREATED\tEXPIRES\tNAME")
	for _, k := range tokens {
		expires := "never"
		if k.ExpiresUS != 0 {
			expires = day(k.ExpiresUS)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, scopeNames(k.Scopes), k.State(now), day(k.CreatedUS), expires, k.Name)
	}
	return w.Flush()
}

func (t *tokenTool) revoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID…",
		Short: "End tokens for good, and what is being done with them",
		Long: `End tokens for good, within a second at every gateway, and what is being done with
them. A token is named by its id, or by its secret, if that was found somewhere.`,
		Example: `  ped token revoke 0a1b2c3d4e5f6071`,
		Args:    atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keeper, done, err := t.keeper(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			revoked := []schemas.AccessToken{}
			for _, arg := range args {
				token, err := keeper.RevokeToken(cmd.Context(), access.IDOf(arg))
				if err != nil {
					return fmt.Errorf("revoke %s: %w", access.IDOf(arg), err)
				}
				revoked = append(revoked, token)
			}
			if t.json {
				return json.NewEncoder(t.stdout).Encode(revoked)
			}
			return nil
		},
	}
}

func scopeNames(scopes []schemas.Scope) string {
	var names []string
	for _, s := range scopes {
		names = append(names, string(s))
	}
	return strings.Join(names, ",")
}

func expiry(us int64) string {
	if us == 0 {
		return "it does not expire"
	}
	return "it expires on " + day(us)
}

func day(us int64) string { return time.UnixMicro(us).Format(time.DateTime) }
