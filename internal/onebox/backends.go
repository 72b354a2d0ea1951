package onebox

import (
	"context"
	"net/http"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/internal/roles"
)

// connector opens a connection to the queue; executor is empty for a gateway.
type connector func(ctx context.Context, name, executor string) (*jobqueue.Queue, error)

// queue says how to connect: to the configured servers, or to one of our own.
func (p *parts) queue() (connector, error) {
	base := jobqueue.Config{Synced: true}
	if p.cfg.NATS != nil {
		base = *p.cfg.NATS
	} else {
		server, err := startNATS(p.cfg.DataDir, p.cfg.Log)
		if err != nil {
			return nil, err
		}
		p.later(func() error { server.stop(); return nil })
		p.nats, base.Server = server, server
	}
	return func(ctx context.Context, name, executor string) (*jobqueue.Queue, error) {
		c := base
		c.Name, c.Executor, c.Log = "ped "+name, executor, p.cfg.Log
		return jobqueue.Connect(ctx, c)
	}, nil
}

// store opens the object store, and the handler of its signed requests if it needs one.
func (p *parts) store(ctx context.Context) (objstore.Store, http.Handler, error) {
	if p.cfg.S3 != nil {
		store, err := roles.OpenS3(ctx, *p.cfg.S3, p.cfg.Log)
		return store, nil, err
	}
	store, err := dir.Open(dir.Config{Path: p.storeDir(), BaseURL: p.objectsURL, Log: p.cfg.Log})
	if err != nil {
		return nil, nil, err
	}
	p.later(store.Close)
	return store, underObjects(store.Handler()), nil
}
