package settings

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// maxFile is the most that a configuration file may hold, in bytes.
const maxFile = 1 << 20

// readFile finds the settings in the YAML file.
func readFile(c Config) ([]given, error) {
	if c.File == "" {
		return nil, nil
	}
	data, err := readCapped(c.File)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(c, data)
}

func readCapped(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, err
}

func parse(c Config, data []byte) ([]given, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	if len(doc.Content) == 0 { // empty, or comments alone
		return nil, nil
	}
	p := parser{Config: c, lines: make(map[string]int)}
	p.mapping("", doc.Content[0])
	return p.found, errors.Join(p.errs...)
}

// parser walks the file's mappings. It keeps the line of every setting, because
// yaml.v3 accepts a key twice when it decodes into nodes.
type parser struct {
	Config
	found []given
	lines map[string]int
	errs  []error
}

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: %w", p.at(n), fmt.Errorf(format, args...)))
}

func (p *parser) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", p.File, n.Line) }

// mapping takes the keys of one mapping; above is the name that they continue.
func (p *parser) mapping(above string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, "want settings as `name: value`")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := above + key.Value
		switch {
		case p.Known.Lookup(name) != nil:
			p.setting(name, key, value)
		case value.Kind == yaml.MappingNode:
			p.mapping(name+"-", value)
		default:
			p.errs = append(p.errs, p.unknown(p.at(key), name, quoted))
		}
	}
}

func (p *parser) setting(name string, key, value *yaml.Node) {
	if line, twice := p.lines[name]; twice {
		p.fail(key, "%s is set already in line %d", name, line)
		return
	}
	p.lines[name] = key.Line
	values, err := plain(value)
	_, isList := sliceFlag(p.Config, name)
	switch {
	case err != nil:
		p.fail(value, "%s: %w", name, err)
	case !isList && value.Kind != yaml.ScalarNode:
		p.fail(value, "%s: want one value, not a list or mapping", name)
	default:
		p.found = append(p.found, given{name, values, p.at(key)})
	}
}

// plain turns a value into what would be written on a command line: a list into
// its elements, a mapping into key=value pairs.
func plain(n *yaml.Node) ([]string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil, errors.New("no value; write \"\" for an empty one")
		}
		return []string{n.Value}, nil
	case yaml.SequenceNode:
		values := []string{}
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, errors.New("a list may hold plain values only")
			}
			values = append(values, item.Value)
		}
		return values, nil
	case yaml.MappingNode:
		values := []string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i+1].Kind != yaml.ScalarNode {
				return nil, errors.New("a mapping may hold plain values only")
			}
			values = append(values, n.Content[i].Value+"="+n.Content[i+1].Value)
		}
		return values, nil
	default:
		return nil, errors.New("aliases are not understood here")
	}
}

func sliceFlag(c Config, name string) (pflag.SliceValue, bool) {
	list, ok := c.Known.Lookup(name).Value.(pflag.SliceValue)
	return list, ok
}
