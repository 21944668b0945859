internal import GuardJSON
internal import GuardMatching

/// What the validators of one search may read again and again: a pattern such as `\\{[\\s\\S]*\\}` offers every `}` of a text
/// as an end, and each candidate is read as a whole.
package struct ValidatorWork: Sendable {
    private var bytesLeft = 32 << 20
    /// The search is to be given up as if it had met its match limit.
    package private(set) var isExhausted = false

    package init() {}

    mutating func take(_ bytes: Int) -> Bool {
        bytesLeft -= bytes
        if bytesLeft < 0 { isExhausted = true }
        return !isExhausted
    }

    mutating func giveUp() { isExhausted = true }
}

extension JSONSchema {
    func accepts(_ text: UnsafeBufferPointer<UInt8>, _ work: inout ValidatorWork) -> Bool {
        // Most ends that a pattern offers are none: brackets that do not fit cost nothing.
        guard let first = text.first, let last = text.last else { return false }
        switch first {
        case UInt8(ascii: "{"): guard last == UInt8(ascii: "}") else { return false }
        case UInt8(ascii: "["): guard last == UInt8(ascii: "]") else { return false }
        default: break
        }
        // Given up: whatever the answer, the search ends, and is a failure.
        guard work.take(text.count + 64) else { return true }
        let document: JSONDocument
        do {
            document = try JSONDocument(Array(text))
        } catch {
            if error.code == .tooDeep || error.code == .tooLarge { work.giveUp() }
            return work.isExhausted
        }
        var scratch = MatchScratch()
        let result = violations(of: document.root, stepsMax: 100_000, scratch: &scratch)
        if result.isIncomplete { work.giveUp() }
        return work.isExhausted || result.violations.isEmpty
    }

    func accepts(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var work = ValidatorWork()
        return accepts(text, &work) && !work.isExhausted
    }
}
