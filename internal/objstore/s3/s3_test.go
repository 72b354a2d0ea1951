package s3_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/objstoretest"
	"github.com/program-explorer/pe/internal/objstore/s3"
	"github.com/program-explorer/pe/internal/objstore/s3test"
)

func config(server s3test.Server, bucket string) s3.Config {
	return s3.Config{
		Endpoint: server.Endpoint, Bucket: bucket, CreateBucket: true,
		AccessKey: s3.Secret(server.AccessKey), SecretKey: s3.Secret(server.SecretKey),
	}
}

// conform runs the suite with a bucket for each of its tests.
func conform(t *testing.T, server s3test.Server) {
	var buckets atomic.Int64
	objstoretest.Run(t, func(t *testing.T) objstore.Store {
		s, err := s3.Open(t.Context(), config(server, fmt.Sprintf("%s-%d", server.Bucket, buckets.Add(1))))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestConformanceVersityGW(t *testing.T) {
	t.Parallel()
	conform(t, s3test.Start(t))
}

func TestConformanceMinIO(t *testing.T) {
	t.Parallel()
	conform(t, s3test.StartMinIO(t))
}
