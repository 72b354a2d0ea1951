package jobresult

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/schemas"
)

// maxWindow bounds the memory that a frame may ask for, in bytes: 8 MiB is what
// every decoder of the format has to support.
const maxWindow = 8 << 20

// Decodes reports whether a stream's log is decompressed as it is read, which takes
// about maxWindow bytes of memory for as long as it is open.
func Decodes(result schemas.Result, stream string) bool {
	kept, _ := keptOf(result, stream)
	return kept.Log != nil
}

// keptOf is what the result has of a stream, and what its object is called.
func keptOf(result schemas.Result, stream string) (kept schemas.Stdio, name string) {
	if stream == schemas.LiveStderr {
		return result.Stderr, schemas.ObjectStderr
	}
	return result.Stdout, schemas.ObjectStdout
}

// Log opens what the job wrote to stdout or stderr, as far as it was kept: the
// head that the result holds, or the object with all of it if the head is not
// everything. At most [schemas.StdioLog] bytes come out.
func (r *Reader) Log(ctx context.Context, rec schemas.Record, result schemas.Result, stream string) (io.ReadCloser, error) {
	kept, name := keptOf(result, stream)
	key := rec.ResultKey(name)
	switch {
	case kept.Log == nil:
		return head(key, kept)
	case kept.Log.Name != name:
		return nil, &LostError{key, fmt.Sprintf("the result calls it %.80q", kept.Log.Name)}
	}
	content, err := r.Open(ctx, key, *kept.Log)
	if err != nil {
		return nil, err
	}
	plain, err := zstd.NewReader(content, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		content.Close()
		return nil, content.Explain(err)
	}
	return &storedLog{Decoded: Decoded{content, plain}, plain: plain, left: schemas.StdioLog}, nil
}

// head gives the bytes that the program wrote, as the result has them.
func head(key string, s schemas.Stdio) (io.ReadCloser, error) {
	if s.Base64 == "" {
		return io.NopCloser(strings.NewReader(s.Text)), nil
	}
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil {
		return nil, &LostError{key, "its head: " + err.Error()}
	}
	return io.NopCloser(strings.NewReader(string(raw))), nil
}

// storedLog is decompressed as it is read. What is beyond left would be a bomb.
type storedLog struct {
	Decoded
	plain *zstd.Decoder
	left  int64
}

func (l *storedLog) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, l.end()
	}
	n, err := l.Decoded.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// end looks for the end of a log that has all the bytes that it may have: else
// nobody would have seen whether it is the right one.
func (l *storedLog) end() error {
	n, err := io.ReadFull(l.Decoded, make([]byte, 1))
	if n > 0 {
		return &LostError{l.Content.key, fmt.Sprintf("it has more than %d bytes", schemas.StdioLog)}
	}
	return err
}

func (l *storedLog) Close() error {
	l.plain.Close()
	return l.Content.Close()
}
