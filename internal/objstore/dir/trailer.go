package dir

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/program-explorer/pe/internal/objstore"
)

// The trailer is the last 256 bytes of an object's file:
//
//	0   magic "peobj\x00\x01\n"
//	8   size of the content, big endian
//	16  SHA-256 of the content
//	48  length of the content type, then the type, zeros up to 252
//	252 CRC-32 of bytes 0 to 251
//
// It stands behind the content, because the digest is known only then and
// because so the content begins on a page. Extended attributes would need a
// file system that has them, and a file beside it a third fsync.
const (
	trailerSize  = 256
	trailerMagic = "peobj\x00\x01\n"
	defaultType  = "application/octet-stream"
)

var errTrailer = errors.New("object file is damaged: bad trailer")

func encodeTrailer(i objstore.Info) ([]byte, error) {
	sum, err := hex.DecodeString(i.SHA256)
	if err != nil || len(sum) != 32 || len(i.ContentType) > objstore.MaxContentType {
		return nil, fmt.Errorf("encode trailer of %s: bad digest or content type", i.Key)
	}
	b := make([]byte, trailerSize)
	copy(b, trailerMagic)
	binary.BigEndian.PutUint64(b[8:], uint64(i.Size))
	copy(b[16:], sum)
	b[48] = byte(len(i.ContentType))
	copy(b[49:], i.ContentType)
	binary.BigEndian.PutUint32(b[252:], crc32.ChecksumIEEE(b[:252]))
	return b, nil
}

// readTrailer gives size, digest, type and time of an open object file. A file
// that is not whole (a power cut under a disk that lies) is an error, never a short object.
func readTrailer(f *os.File) (objstore.Info, error) {
	st, err := f.Stat()
	if err != nil {
		return objstore.Info{}, err
	}
	size := st.Size() - trailerSize
	if !st.Mode().IsRegular() || size < 0 {
		return objstore.Info{}, errTrailer
	}
	var b [trailerSize]byte
	if _, err := f.ReadAt(b[:], size); err != nil {
		return objstore.Info{}, err
	}
	info, err := decodeTrailer(b[:])
	if err != nil {
		return objstore.Info{}, err
	}
	if info.Size != size {
		return objstore.Info{}, errTrailer
	}
	info.ModTime = st.ModTime()
	return info, nil
}

func decodeTrailer(b []byte) (objstore.Info, error) {
	if len(b) != trailerSize || !bytes.HasPrefix(b, []byte(trailerMagic)) ||
		binary.BigEndian.Uint32(b[252:]) != crc32.ChecksumIEEE(b[:252]) || b[48] > objstore.MaxContentType {
		return objstore.Info{}, errTrailer
	}
	return objstore.Info{
		Size:        int64(binary.BigEndian.Uint64(b[8:])),
		SHA256:      hex.EncodeToString(b[16:48]),
		ContentType: string(b[49 : 49+int(b[48])]),
	}, nil
}
