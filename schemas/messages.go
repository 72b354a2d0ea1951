package schemas

import (
	"fmt"
	"io"
	"reflect"
)

// ControlMessage is what passes between gateway and executor.
type ControlMessage interface {
	Offer | Claim | ClaimReply | Sign | SignReply | Facts | HelloReply | Beat | BeatReply |
		Stop | StopReply | Pools | LogsRequest | LogsReply | LogChunk | Stage | Event |
		Report | ReportReply
}

// A document has rules that its shape does not tell.
type document interface{ check(*problems) }

var (
	resultShape   = shapeOf[Result]()
	recordShape   = shapeOf[Record]()
	controlShapes = shapesOf(
		Offer{}, Claim{}, ClaimReply{}, Sign{}, SignReply{}, Facts{}, HelloReply{}, Beat{}, BeatReply{},
		Stop{}, StopReply{}, Pools{}, LogsRequest{}, LogsReply{}, LogChunk{}, Stage{}, Event{},
		Report{}, ReportReply{})
)

func shapesOf(documents ...any) map[reflect.Type]*shape {
	shapes, made := map[reflect.Type]*shape{}, map[reflect.Type]*shape{}
	for _, d := range documents {
		shapes[reflect.TypeOf(d)] = newShape(reflect.TypeOf(d), made)
	}
	return shapes
}

// DecodeControl decodes a control message of at most [MaxControlBytes] strictly:
// no unknown, repeated or ill-typed members, nothing behind it, and every value
// within its range. The other side is not trusted. The error is or wraps
// [ErrTooLarge], [*SyntaxError] or [*InvalidError].
func DecodeControl[T ControlMessage](data []byte) (T, error) {
	t := reflect.TypeFor[T]()
	return decode[T](t.Name(), data, MaxControlBytes, controlShapes[t])
}

// DecodeResult reads a result object of at most [MaxResultBytes], as strictly as [DecodeControl].
func DecodeResult(r io.Reader) (Result, error) {
	data, err := readAtMost(r, MaxResultBytes)
	if err != nil {
		return Result{}, fmt.Errorf("read result: %w", err)
	}
	return decode[Result]("result", data, MaxResultBytes, resultShape)
}

// DecodeRecord decodes a job's record of at most [MaxRecordBytes], as strictly as [DecodeControl].
func DecodeRecord(data []byte) (Record, error) {
	return decode[Record]("record", data, MaxRecordBytes, recordShape)
}
