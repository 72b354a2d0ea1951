package natsconf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nats-io/nkeys"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Config of a server.
type Config struct {
	// Name of the server, unique in its cluster. Default program-explorer.
	Name string
	// Listen is host:port. Default 0.0.0.0:4222.
	Listen string
	// StoreDir is where JetStream keeps its files. Default /var/lib/nats.
	StoreDir string
	// TLSCert and TLSKey are PEM files on the server. Without, a comment stands in
	// their place.
	TLSCert, TLSKey string
	// Gateways and Executors are the users.
	Gateways, Executors []User
}

// User is a gateway or an executor.
type User struct {
	// Name is the executor's id; a gateway's is for people alone.
	Name string
	// Key is the public half of its nkey.
	Key string
}

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, "program-explorer")
	c.Listen = cmp.Or(c.Listen, "0.0.0.0:4222")
	c.StoreDir = cmp.Or(c.StoreDir, "/var/lib/nats")
	return c
}

// Write writes the whole configuration. There must be a gateway.
func Write(w io.Writer, c Config) error {
	c = c.withDefaults()
	if len(c.Gateways) == 0 {
		return errors.New("a NATS server without a gateway's user is of no use")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("a certificate and its key belong together")
	}
	users, err := c.users(userIndent)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, c.server()+c.tls()+jetStream(c.StoreDir)+accounts(users))
	return err
}

// WriteUsers writes the users alone, to be added to a configuration that is there.
func WriteUsers(w io.Writer, c Config) error {
	if len(c.Gateways)+len(c.Executors) == 0 {
		return errors.New("no users to write")
	}
	users, err := c.users("")
	if err == nil {
		_, err = io.WriteString(w, users)
	}
	return err
}

// users are the blocks of all users. A name goes into subjects and a key into the
// file as it is, so both must be what they should.
func (c Config) users(indent string) (text string, err error) {
	names, keys := map[string]bool{}, map[string]bool{}
	for _, u := range slices.Concat(c.Gateways, c.Executors) {
		switch {
		case !schemas.ValidToken(u.Name):
			return "", fmt.Errorf("user %.80q: want a name of 1 to 40 of a-z, 0-9 and -", u.Name)
		case !nkeys.IsValidPublicUserKey(u.Key):
			return "", fmt.Errorf("user %s: %.80q is no public key of an nkey user, which begins with U: ped nats key prints it", u.Name, u.Key)
		case names[u.Name]:
			return "", fmt.Errorf("user %s is named twice", u.Name)
		case keys[u.Key]:
			return "", fmt.Errorf("user %s has the key of another: permissions would be those of one of them", u.Name)
		}
		names[u.Name], keys[u.Key] = true, true
	}
	for _, u := range c.Gateways {
		text += block("gateway "+u.Name, u.Key, jobqueue.GatewayPermissions(), indent)
	}
	for _, u := range c.Executors {
		text += block("executor "+u.Name, u.Key, jobqueue.ExecutorPermissions(u.Name), indent)
	}
	return text, nil
}
