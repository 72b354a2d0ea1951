package coordinator_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"

	"github.com/program-explorer/pe/internal/objstore"
)

// memory is a store for benchmarks of the control plane alone.
type memory struct {
	objstore.Store
	objects sync.Map
}

func (m *memory) Put(_ context.Context, key string, r io.Reader, _ objstore.PutOptions) (objstore.Info, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return objstore.Info{}, err
	}
	m.objects.Store(key, data)
	return info(key, data), nil
}

func info(key string, data []byte) objstore.Info {
	sum := sha256.Sum256(data)
	return objstore.Info{Key: key, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
}

func (m *memory) load(key string) ([]byte, objstore.Info, error) {
	v, ok := m.objects.Load(key)
	if !ok {
		return nil, objstore.Info{}, objstore.ErrNotFound
	}
	return v.([]byte), info(key, v.([]byte)), nil
}

func (m *memory) Get(_ context.Context, key string, _ objstore.Range) (io.ReadCloser, objstore.Info, error) {
	data, i, err := m.load(key)
	return io.NopCloser(bytes.NewReader(data)), i, err
}

func (m *memory) Stat(_ context.Context, key string) (objstore.Info, error) {
	_, i, err := m.load(key)
	return i, err
}
