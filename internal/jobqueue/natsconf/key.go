package natsconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/nats-io/nkeys"
)

// maxKeyFile bounds the file of a seed, in bytes.
const maxKeyFile = 4 << 10

// UserKey returns the public key of the seed in a file. If there is no such file
// it makes a key and writes the seed, for the file's owner alone.
func UserKey(path string) (public string, err error) {
	seed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newUserKey(path)
	}
	if err != nil {
		return "", fmt.Errorf("read key: %w", err)
	}
	if len(seed) > maxKeyFile {
		return "", fmt.Errorf("read key: %s is larger than %d bytes", path, maxKeyFile)
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err == nil {
		public, err = pair.PublicKey()
	}
	// The library's errors say what is wrong and not what was read.
	if err == nil && !nkeys.IsValidPublicUserKey(public) {
		err = errors.New("it is not a user's")
	}
	if err != nil {
		return "", fmt.Errorf("read key: %s holds no seed of an nkey: %w", path, err)
	}
	return public, nil
}

func newUserKey(path string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("write key: %w", err)
	}
	_, err = file.Write(append(seed, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", fmt.Errorf("write key: %w", err)
	}
	return public, nil
}
