package roles

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

// maxTokenFile bounds a token file, in bytes.
const maxTokenFile = 1 << 20

// LoadTokens reads a file of access tokens, a line each: the token, or sha256:
// and the digest of it, so that the file holds no secret; after a blank the
// tenant whose it is (default: the single one; * for the whole system), and
// after another the scopes, separated by commas (default: submit,read). Empty lines
// and those that begin with # are passed over. Errors name the line and not the token.
func LoadTokens(path string) ([]access.Token, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read access tokens: %w", err)
	}
	defer file.Close()
	tokens, err := parseTokens(path, io.LimitReader(file, maxTokenFile))
	if err == nil && len(tokens) == 0 {
		err = fmt.Errorf("%s holds no access token", path)
	}
	if err != nil {
		return nil, err
	}
	return tokens, nil
}

func parseTokens(path string, r io.Reader) ([]access.Token, error) {
	var (
		tokens []access.Token
		errs   []error
	)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		token, err := parseToken(fields)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", path, n, err))
			continue
		}
		tokens = append(tokens, token)
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("read access tokens: %w", err))
	}
	return tokens, errors.Join(errs...)
}

func parseToken(fields []string) (access.Token, error) {
	if len(fields) > 3 {
		return access.Token{}, errors.New("want: TOKEN [TENANT [SCOPE,…]], or sha256:DIGEST [TENANT [SCOPE,…]]")
	}
	tenant := ""
	if len(fields) > 1 {
		tenant = fields[1]
	}
	var scopes []schemas.Scope
	if len(fields) > 2 {
		for name := range strings.SplitSeq(fields[2], ",") {
			scopes = append(scopes, schemas.Scope(name))
		}
	}
	if strings.HasPrefix(fields[0], schemas.DigestPrefix) {
		return access.HashedToken(fields[0], tenant, scopes...)
	}
	return access.NewToken(fields[0], tenant, scopes...)
}
