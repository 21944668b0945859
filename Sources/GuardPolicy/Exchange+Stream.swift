extension Exchange {
    package var isHolding: Bool { false }
    package func answer(bytes: [UInt8]) -> AnswerStep { AnswerStep(output: bytes) }
    package func answerEnded(complete: Bool) -> AnswerStep { AnswerStep() }
    func closeStream(_ end: ExchangeEnd) {}
    func makeInspector() -> StreamInspector { StreamInspector() }
}
struct StreamInspector {}
