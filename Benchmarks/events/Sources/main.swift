import Foundation
import GuardLLMSchema

// What reading costs: an event of a stream, a whole answer of 1 KB, a request. `swift build -c release --product
// events-benchmark`, with GUARD_BENCHMARKS=1 and GUARD_ONLY=GuardLLMSchema.

func best(_ passes: Int, _ count: Int, _ body: () throws -> Void) rethrows -> Double {
    var best = Double.infinity
    for _ in 0..<passes {
        let start = ContinuousClock.now
        for _ in 0..<count { try body() }
        let took = (ContinuousClock.now - start).components
        best = min(best, (Double(took.attoseconds) / 1e12 + Double(took.seconds) * 1e6) / Double(count))
    }
    return best
}

func show(_ name: String, _ bytes: Int, _ microseconds: Double) {
    print("\(name) of \(bytes) bytes: \(String(format: "%.2f", microseconds)) µs")
}

let event = Array(
    """
    data: {"id":"chatcmpl-123456789","object":"chat.completion.chunk","created":1754000000,"model":"llama-prod",\
    "choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}


    """.utf8)
var decoder = StreamDecoder(endpoint: .chatCompletions)
show("stream event", event.count, try best(20, 2000) { _ = try decoder.append(event) })

let tgi = Array(
    """
    data:{"index":1,"token":{"id":1734,"text":" word","logprob":-0.32,"special":false},"generated_text":null,"details":null}


    """.utf8)
var tgiDecoder = StreamDecoder(endpoint: .generateStream)
show("TGI event", tgi.count, try best(20, 2000) { _ = try tgiDecoder.append(tgi) })

let text = String(repeating: "A plain sentence of an answer, with a \\\"quote\\\" and a line.\\n", count: 12)
let answer = Array(
    """
    {"id":"chatcmpl-123456789","object":"chat.completion","created":1754000000,"model":"llama-prod","choices":[{"index":0,\
    "message":{"role":"assistant","content":"\(text)"},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,\
    "completion_tokens":200,"total_tokens":210}}
    """.utf8)
show("answer", answer.count, try best(20, 1000) { _ = try AnswerView.parse(.chatCompletions, body: answer) })

let request = Array(
    """
    {"model":"llama-prod","messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"\(text)"}],\
    "max_tokens":200,"temperature":0.7,"stream":true,"stream_options":{"include_usage":true}}
    """.utf8)
show(
    "request", request.count,
    try best(20, 1000) { _ = try RequestView.parse(.chatCompletions, body: request, options: RequestOptions()) })
