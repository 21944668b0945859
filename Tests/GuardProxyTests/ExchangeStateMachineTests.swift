import Testing

@testable import GuardProxy

@Suite struct ExchangeStateMachineTests {
    /// A machine that has read one whole request and waits for the engine.
    private func judging(keepAlive: Bool = true) -> ExchangeStateMachine {
        var machine = ExchangeStateMachine()
        _ = machine.requestHead(keepAlive: keepAlive)
        _ = machine.requestEnd()
        return machine
    }

    @Test func oneRequestAfterAnother() {
        var machine = ExchangeStateMachine()
        for _ in 0..<3 {
            #expect(machine.requestHead(keepAlive: true) == true)
            #expect(machine.bodyBytes(10) == .append)
            #expect(machine.requestEnd() == .judge)
            #expect(machine.forward() == true)
            #expect(machine.answerHead() == true)
            #expect(machine.answerEnd() == .nextRequest)
            #expect(machine.state == .idle)
        }
    }

    @Test func aRefusalAfterTheWholeRequestKeepsTheConnection() {
        var machine = judging()
        #expect(machine.refuse() == .answer)
        #expect(machine.state == .idle)
        var closing = judging(keepAlive: false)
        #expect(closing.refuse() == .answerAndClose)
        #expect(closing.state == .closed)
    }

    @Test func anEarlyRefusalReadsOnForAtMostOneMebibyte() {
        var machine = ExchangeStateMachine()
        _ = machine.requestHead(keepAlive: true)
        #expect(machine.refuse() == .answerAndLinger)
        #expect(machine.bodyBytes(ExchangeStateMachine.lingerBytesMax) == .drop)
        #expect(machine.bodyBytes(1) == .close)
        #expect(machine.state == .closed)
    }

    @Test func aBrokenRequestIsReadOnAsWell() {
        var machine = ExchangeStateMachine()
        _ = machine.requestHead(keepAlive: true)
        #expect(machine.refuse(closing: true) == .answerAndLinger)
        #expect(machine.bodyBytes(5) == .drop)
        #expect(machine.willKeepAlive == false)
    }

    @Test func anEarlyRefusalClosesAtTheRequestsEnd() {
        var machine = ExchangeStateMachine()
        _ = machine.requestHead(keepAlive: true)
        _ = machine.refuse()
        #expect(machine.bodyBytes(5) == .drop)
        #expect(machine.requestEnd() == .close)
    }

    @Test func onlyASilentReusedConnectionIsTriedAgainAndOnlyOnce() {
        var machine = judging()
        _ = machine.forward()
        #expect(machine.upstreamFailed(reusedAndSilent: true) == .retry)
        #expect(machine.upstreamFailed(reusedAndSilent: true) == .refuse)
        var fresh = judging()
        _ = fresh.forward()
        #expect(fresh.upstreamFailed(reusedAndSilent: false) == .refuse)
        var begun = judging()
        _ = begun.forward()
        _ = begun.answerHead()
        #expect(begun.upstreamFailed(reusedAndSilent: true) == .breakAnswer)
    }

    @Test func lateEventsOfADeadExchangeDoNothing() {
        var machine = judging()
        #expect(machine.clientClosed() == true)
        #expect(machine.forward() == false)
        #expect(machine.answerHead() == false)
        #expect(machine.answerEnd() == .ignore)
        #expect(machine.refuse() == .ignore)
        #expect(machine.upstreamFailed(reusedAndSilent: true) == .ignore)
        #expect(machine.bodyBytes(1) == .ignore)
        #expect(machine.requestHead(keepAlive: true) == false)
        #expect(machine.clientClosed() == false)
    }

    @Test func drainingEndsTheConnectionAfterTheAnswer() {
        var idle = ExchangeStateMachine()
        #expect(idle.drain() == true)
        var busy = judging()
        #expect(busy.drain() == false)
        _ = busy.forward()
        _ = busy.answerHead()
        #expect(busy.answerEnd() == .close)
    }
}
