// Command program says what it was built with.
package main

import (
	_ "embed"
	"os"
)

//go:embed said.txt
var said string

func main() { os.Stdout.WriteString(said) }
