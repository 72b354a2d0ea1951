// Package s3 keeps objects in a bucket of an S3 service, through minio-go.
//
// Every object is one PUT with a SHA-256 that the service checks, so nothing
// wrong is ever stored, and an upload that breaks off leaves nothing.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/program-explorer/pe/internal/objstore"
)

// Secret is a string that does not show itself in logs or formatted output.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Config names the service and the bucket.
type Config struct {
	// Endpoint is the service's URL, http:// or https://, without a path. Required.
	Endpoint string
	// SignEndpoint replaces Endpoint in signed URLs, where executors reach the
	// service under another name than the gateway does. Default Endpoint.
	SignEndpoint string
	// Region is what requests are signed for. Default us-east-1.
	Region string
	// Bucket has at least 3 characters. Required.
	Bucket string
	// CreateBucket makes the bucket at Open when it is missing.
	CreateBucket bool
	// AccessKey and SecretKey are the gateway's credentials. Required.
	AccessKey, SecretKey Secret
	// SpoolDir holds uploads whose digest or length is not known beforehand, while
	// they are measured. Default os.TempDir().
	SpoolDir string
	// Transport is used for all requests. Default: minio-go's.
	Transport http.RoundTripper
}

// LogValue shows everything but the credentials.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("endpoint", hostOnly(c.Endpoint)), slog.String("bucket", c.Bucket), slog.String("region", c.Region))
}

// Store is an objstore.Store over a bucket.
type Store struct {
	config Config
	core   minio.Core
	signer *minio.Client
}

var _ objstore.Store = (*Store)(nil)

// retries of one request that may be sent again; beyond that the caller's own backoff rules.
const retries = 3

// Open makes a client and checks that the bucket can be used.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.SignEndpoint == "" {
		c.SignEndpoint = c.Endpoint
	}
	client, err := newClient(c, c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("open s3 bucket %s: %w", c.Bucket, err)
	}
	signer, err := newClient(c, c.SignEndpoint)
	if err != nil {
		return nil, fmt.Errorf("open s3 bucket %s: %w", c.Bucket, err)
	}
	s := &Store{config: c, core: minio.Core{Client: client}, signer: signer}
	if c.CreateBucket {
		err = s.createBucket(ctx)
	} else {
		err = s.Check(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newClient(c Config, endpoint string) (*minio.Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("%w: endpoint %q is not http://host:port or https://host:port", objstore.ErrOptions, hostOnly(endpoint))
	}
	return minio.New(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(string(c.AccessKey), string(c.SecretKey), ""),
		Secure:       u.Scheme == "https",
		Region:       c.Region,
		BucketLookup: minio.BucketLookupPath,
		MaxRetries:   retries,
		Transport:    c.Transport,
	})
}

func hostOnly(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "[unparsable]"
	}
	return u.Scheme + "://" + u.Host
}

// Check reports whether the service answers and the bucket is there.
func (s *Store) Check(ctx context.Context) error {
	found, err := s.core.BucketExists(ctx, s.config.Bucket)
	if err != nil {
		return s.failBucket("check", err)
	}
	if !found {
		return fmt.Errorf("check bucket %s at %s: %w: no such bucket", s.config.Bucket, hostOnly(s.config.Endpoint), objstore.ErrUnavailable)
	}
	return nil
}

func (s *Store) createBucket(ctx context.Context) error {
	found, err := s.core.BucketExists(ctx, s.config.Bucket)
	if err == nil && !found {
		err = s.core.MakeBucket(ctx, s.config.Bucket, minio.MakeBucketOptions{Region: s.config.Region})
		if code := minio.ToErrorResponse(err).Code; code == "BucketAlreadyOwnedByYou" || code == "BucketAlreadyExists" {
			err = s.Check(ctx) // another gateway was first
		}
	}
	if err != nil {
		return s.failBucket("create", err)
	}
	return nil
}

// Stat implements objstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, fmt.Errorf("stat object: %w", err)
	}
	o, err := s.core.StatObject(ctx, s.config.Bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return objstore.Info{}, s.fail("stat object", key, err)
	}
	return infoOf(key, o), nil
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, objstore.Info{}, fmt.Errorf("get object: %w", err)
	}
	o, err := getOptions(r)
	if err != nil {
		return nil, objstore.Info{}, fmt.Errorf("get object %s: %w", key, err)
	}
	body, obj, h, err := s.core.GetObject(ctx, s.config.Bucket, key, o)
	if err != nil {
		return nil, objstore.Info{}, s.fail("get object", key, err)
	}
	info := infoOf(key, obj)
	// Of a ranged answer, Size is the part's; the whole stands behind the slash.
	if _, total, ok := strings.Cut(h.Get("Content-Range"), "/"); ok {
		if _, err := fmt.Sscanf(total, "%d", &info.Size); err != nil {
			body.Close()
			return nil, objstore.Info{}, fmt.Errorf("get object %s: content range %q", key, h.Get("Content-Range"))
		}
		info.SHA256 = ""
	}
	return body, info, nil
}

func getOptions(r objstore.Range) (minio.GetObjectOptions, error) {
	var o minio.GetObjectOptions
	if err := r.Check(); err != nil {
		return o, err
	}
	switch {
	case r.Length > 0:
		return o, o.SetRange(r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		return o, o.SetRange(r.Offset, 0)
	}
	o.Checksum = true
	return o, nil
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	if err := objstore.ValidatePrefix(prefix); err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	limit, err := objstore.CheckLimit(limit)
	if err != nil {
		return nil, fmt.Errorf("list objects %s: %w", prefix, err)
	}
	o := minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, MaxKeys: limit, Recursive: true}
	found := make([]objstore.Info, 0, limit)
	for obj := range s.core.ListObjectsIter(ctx, s.config.Bucket, o) {
		if obj.Err != nil {
			return nil, s.fail("list objects", prefix, obj.Err)
		}
		found = append(found, objstore.Info{Key: obj.Key, Size: obj.Size, ModTime: obj.LastModified})
		if len(found) == limit {
			break
		}
	}
	return found, nil
}

// Delete implements objstore.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := objstore.ValidateKey(key); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	err := s.core.RemoveObject(ctx, s.config.Bucket, key, minio.RemoveObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return s.fail("delete object", key, err)
	}
	return nil
}

// infoOf knows the digest when the service keeps the checksum of the PUT.
func infoOf(key string, o minio.ObjectInfo) objstore.Info {
	info := objstore.Info{Key: key, Size: o.Size, ModTime: o.LastModified, ContentType: o.ContentType}
	if sum, err := base64.StdEncoding.DecodeString(o.ChecksumSHA256); err == nil && len(sum) == 32 {
		info.SHA256 = hex.EncodeToString(sum)
	}
	return info
}

// SignPut implements objstore.Store. The checksum header is signed, and not
// X-Amz-Content-Sha256, which some services refuse in a presigned PUT.
func (s *Store) SignPut(ctx context.Context, key string, o objstore.SignPutOptions) (objstore.SignedRequest, error) {
	life, err := o.Check()
	if err != nil {
		return objstore.SignedRequest{}, fmt.Errorf("sign put of %s: %w", key, err)
	}
	h := http.Header{}
	h.Set("Content-Length", fmt.Sprint(o.Size))
	h.Set(checksumHeader, checksum(o.SHA256))
	if o.IfAbsent {
		h.Set("If-None-Match", "*")
	}
	return s.sign(ctx, http.MethodPut, key, life, h)
}

// SignGet implements objstore.Store.
func (s *Store) SignGet(ctx context.Context, key string, expires time.Duration) (objstore.SignedRequest, error) {
	life, err := objstore.CheckExpiry(expires)
	if err != nil {
		return objstore.SignedRequest{}, fmt.Errorf("sign get of %s: %w", key, err)
	}
	return s.sign(ctx, http.MethodGet, key, life, http.Header{})
}

func (s *Store) sign(ctx context.Context, method, key string, life time.Duration, h http.Header) (objstore.SignedRequest, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.SignedRequest{}, fmt.Errorf("sign url: %w", err)
	}
	u, err := s.signer.PresignHeader(ctx, method, s.config.Bucket, key, life, nil, h)
	if err != nil {
		return objstore.SignedRequest{}, s.fail("sign url of", key, err)
	}
	return objstore.SignedRequest{Method: method, URL: u.String(), Header: h}, nil
}
