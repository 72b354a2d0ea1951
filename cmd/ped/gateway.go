package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/s3"
	"github.com/program-explorer/pe/internal/roles"
)

// gatewayCommand is what `ped gateway` was told.
type gatewayCommand struct {
	log    logFlags
	at     listenFlags
	serve  serveFlags
	limits limitFlags
	queue  queueFlags
	copies copyFlags
	store  storeFlags
	images imageFlags
	jobs   jobsFlags
	hooks  webhookFlags
	keep   keepFlags
}

func (a *app) gateway() *cobra.Command {
	var g gatewayCommand
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve the HTTP API and coordinate jobs; several may run side by side",
		Long: `Serve the HTTP API and coordinate jobs, with a NATS server and an S3 service that
run elsewhere. Gateways hold no state of their own: run as many as you like.
Executors (ped executor) do the work.`,
		Example: `  PED_S3_SECRET_KEY=… ped gateway --nats-url nats://queue:4222 --nats-nkey-file gateway.nk \
    --s3-endpoint https://s3.example.org --s3-access-key pe --listen :7300 --token-file tokens`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runGateway(cmd.Context(), g) },
	}
	return a.configured(cmd, g.at.bind(), g.serve.bind(), g.limits.bind(), g.jobs.bind(), g.queue.bind(" (required)"), g.copies.bind(), g.store.bind(" (required)"), g.images.bindSources(), g.images.bindUsers(), g.hooks.bind(), g.keep.bind(), g.log.bind())
}

func (a *app) runGateway(ctx context.Context, g gatewayCommand) error {
	log, err := g.log.logger(a.stderr)
	if err != nil {
		return err
	}
	if g.queue.url == "" || g.store.endpoint == "" {
		return usageError{fmt.Errorf("a gateway needs --nats-url and --s3-endpoint; ped up needs neither")}
	}
	c := roles.GatewayConfig{Listen: g.at.listen, Version: version, Log: log}
	if c.Tokens, err = roles.LoadTokens(g.serve.tokenFile); err != nil {
		return err
	}
	if c.Limits, c.Proxies, err = g.limits.limits(); err != nil {
		return err
	}
	if c.Images, err = g.images.sources(); err != nil {
		return err
	}
	if c.Jobs, err = g.jobs.config(); err != nil {
		return err
	}
	if c.Webhooks, err = g.hooks.config(); err != nil {
		return err
	}
	if c.Keep, err = g.keep.policy(); err != nil {
		return err
	}
	s3Config, err := g.store.config()
	if err != nil {
		return err
	}
	queue, err := g.queue.config("gateway", log)
	if err == nil {
		queue, err = g.copies.of(queue)
	}
	if err != nil {
		return err
	}
	c.Queue, err = jobqueue.Connect(ctx, queue)
	if err != nil {
		return stopped(ctx, err)
	}
	defer c.Queue.Close()
	if c.Store, err = roles.OpenS3(ctx, s3Config, log); err != nil {
		return stopped(ctx, err)
	}
	gateway, err := roles.NewGateway(ctx, c)
	if err != nil {
		return stopped(ctx, err)
	}
	if err := a.ready(gateway.URL(), g.serve.readyFile); err != nil {
		return err
	}
	return gateway.Run(ctx)
}

// config is the store's, with its secret.
func (s *storeFlags) config() (s3.Config, error) {
	secret, err := s.secret()
	return s3.Config{
		Endpoint: s.endpoint, Region: s.region, Bucket: s.bucket, CreateBucket: true,
		AccessKey: s3.Secret(s.accessKey), SecretKey: s3.Secret(secret),
	}, err
}

// config is that of a connection; its name is what the server lists it by.
func (q *queueFlags) config(name string, log *slog.Logger) (jobqueue.Config, error) {
	if q.creds != "" && q.nkey != "" {
		return jobqueue.Config{}, usageError{errors.New("nats-creds and nats-nkey-file are both given")}
	}
	return jobqueue.Config{URL: q.url, CredentialsFile: q.creds, NKeyFile: q.nkey, Name: "ped " + name, Log: log}, nil
}

// ready prints the address, and writes it to a file, whole or not at all.
func (a *app) ready(address, file string) error {
	fmt.Fprintf(a.stdout, "Program Explorer is ready at %s\n", address)
	if file == "" {
		return nil
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".ready-")
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = fmt.Fprintln(temp, address)
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// stopped is nil for an error that comes of being told to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
