//go:build arm64 || riscv64

package main

const finitModule = 273
