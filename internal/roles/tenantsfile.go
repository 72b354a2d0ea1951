package roles

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
)

const (
	// maxTenantsFile bounds the file, in bytes.
	maxTenantsFile = 4 << 20
	// tenantsEvery is how often it is looked at for changes.
	tenantsEvery = 2 * time.Second
)

// tenantsFile is a file with tenants' limits that is read again when it changes.
type tenantsFile struct {
	path     string
	standard coordinator.Limits
	last     []byte
}

// read returns what tenants may have, and whether that differs from the last time.
func (t *tenantsFile) read() (table coordinator.LimitTable, changed bool, err error) {
	table.Default = t.standard
	if t.path == "" {
		return table, false, nil
	}
	f, err := os.Open(t.path)
	if err != nil {
		return table, false, fmt.Errorf("read tenants: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTenantsFile+1))
	if err == nil && len(data) > maxTenantsFile {
		err = fmt.Errorf("%s is larger than %d bytes", t.path, maxTenantsFile)
	}
	if err != nil {
		return table, false, fmt.Errorf("read tenants: %w", err)
	}
	if t.last != nil && bytes.Equal(data, t.last) {
		return table, false, nil
	}
	t.last = append([]byte{}, data...)
	table.Tenants, err = parseTenants(t.path, data)
	return table, true, err
}

// watch puts each new version of the file in force. One with a mistake is said,
// once, and the limits stay as they were.
func (t *tenantsFile) watch(ctx context.Context, log *slog.Logger, set func(coordinator.LimitTable)) {
	tick := time.NewTicker(tenantsEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		table, changed, err := t.read()
		switch {
		case err != nil:
			if err.Error() != said {
				log.Error("limits of tenants stay as they were", "err", err)
			}
			said = err.Error()
		case changed:
			said = ""
			set(table)
			log.Info("limits of tenants read again", "file", t.path, "tenants", len(table.Tenants))
		}
	}
}
