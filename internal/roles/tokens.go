package roles

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/program-explorer/pe/gateway/access"
)

// LoadTokens reads a file of access tokens, a line each: the token, and after a
// blank the tenant whose it is (default: the single one). Empty lines and those
// that begin with # are passed over. Errors name the line and not the token.
func LoadTokens(path string) ([]access.Token, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read access tokens: %w", err)
	}
	defer file.Close()
	var (
		tokens []access.Token
		errs   []error
	)
	lines := bufio.NewScanner(file)
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
	if errs = append(errs, lines.Err()); errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no access token", path)
	}
	return tokens, nil
}

func parseToken(fields []string) (access.Token, error) {
	tenant := ""
	switch len(fields) {
	case 1:
	case 2:
		tenant = fields[1]
	default:
		return access.Token{}, errors.New("want: TOKEN [TENANT]")
	}
	return access.NewToken(fields[0], tenant)
}
