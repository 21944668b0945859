private import GuardCore
private import Crypto
private import GuardJSON

/// Links the lines of one writer, so that a changed, missing or moved line shows.
///
/// A line is a JSON object whose last member is
/// `"chain":{"writer":W,"epoch":E,"seq":N,"prev":P,"hash":H}`, written without white space, and a line feed.
/// - `writer` names the sink of a process; `epoch` is the time at which the process began to write (Unix milliseconds),
///   `seq` counts its lines from 0.
/// - `hash` is SHA-256, in lower-case hex, over the 32 bytes of `prev` followed by the bytes of the line without line
///   feed and without `,"hash":"…"`.
/// - `prev` is the `hash` of the line before. The first line of an epoch continues from the last line that stands in
///   the file; where there is none, `prev` is 64 zeros.
package struct RecordChain: Sendable {
    package let writer: Label
    package let epoch: Int64
    package private(set) var seq: Int64 = 0
    package private(set) var previous: [UInt8]

    static let zeros = [UInt8](repeating: 0, count: 32)

    /// `previous`: the hash to continue from, 32 bytes.
    package init(writer: Label, epoch: Int64, previous: [UInt8]? = nil) {
        self.writer = writer
        self.epoch = epoch
        self.previous = previous ?? Self.zeros
    }

    /// The line of a record: its object with the chain, and a line feed.
    /// - Parameter record: a JSON object with at least one member, as `DecisionRecord.encoded` gives it.
    package mutating func line(of record: [UInt8]) -> [UInt8] {
        var line = Array(record.dropLast())
        line += ",\"chain\":{\"writer\":\"".utf8
        JSONEscape.append(writer.name.utf8, to: &line)
        line += "\",\"epoch\":\(epoch),\"seq\":\(seq),\"prev\":\"\(hexadecimal(previous))\"".utf8
        let hash = Self.hash(previous: previous, record: line + "}}".utf8)
        line += ",\"hash\":\"\(hexadecimal(hash))\"}}\n".utf8
        previous = hash
        seq += 1
        return line
    }

    static func hash(previous: [UInt8], record: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(data: previous)
        hasher.update(data: record)
        return Array(hasher.finalize())
    }

    /// `,"hash":"` + 64 digits + `"}}`
    private static let hashMemberBytes = 9 + 64 + 3

    /// What the last member of a line says; `nil` where it is no chained line. `line` is without line feed.
    static func parse(_ line: [UInt8]) -> (link: RecordLink, hashed: [UInt8])? {
        guard line.count > hashMemberBytes, let root = try? JSONDocument(line).root, root.kind == .object,
            let chain = root["chain"], chain.byteRange.upperBound == line.count - 1,
            let writer = chain["writer"]?.string, let epoch = chain["epoch"]?.integer,
            let seq = chain["seq"]?.integer, let previous = chain["prev"]?.string.flatMap(bytes),
            let hashNode = chain["hash"], let hash = hashNode.string.flatMap(bytes),
            hashNode.byteRange.upperBound == line.count - 2
        else { return nil }
        let hashed = Array(line.dropLast(hashMemberBytes)) + "}}".utf8
        guard line[(line.count - hashMemberBytes)...].starts(with: ",\"hash\":\"".utf8) else { return nil }
        return (RecordLink(writer: writer, epoch: epoch, seq: seq, previous: previous, hash: hash), hashed)
    }

    private static func bytes(hex: String) -> [UInt8]? {
        let digits = Array(hex.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}

struct RecordLink {
    var writer: String
    var epoch, seq: Int64
    var previous, hash: [UInt8]
}

/// Checks lines in the order in which they were written.
package struct ChainVerifier: Sendable {
    package enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
        case notARecord(line: Int)
        /// The line's bytes do not give its hash.
        case changed(line: Int)
        /// Lines are missing, moved or repeated before this one.
        case broken(line: Int, expectedSeq: Int64, foundSeq: Int64)
        /// The sequence is right but `prev` is not the hash of the line before.
        case unlinked(line: Int)

        package var description: String {
            switch self {
            case .notARecord(let line): "line \(line): not a chained record"
            case .changed(let line): "line \(line): the record does not match its hash"
            case .broken(let line, let expected, let found): "line \(line): seq \(found) where \(expected) is expected"
            case .unlinked(let line): "line \(line): not linked to the line before"
            }
        }
    }

    private struct State {
        var epoch, seq: Int64
        var hash: [UInt8]
    }

    /// By writer: one file can hold several.
    private var states: [String: State] = [:]
    private var line = 0

    package init() {}

    /// - Parameter bytes: one line without line feed.
    package mutating func check(_ bytes: [UInt8]) throws(Problem) {
        line += 1
        guard let (link, hashed) = RecordChain.parse(bytes) else { throw .notARecord(line: line) }
        guard RecordChain.hash(previous: link.previous, record: hashed) == link.hash else { throw .changed(line: line) }
        let known = states[link.writer]
        states[link.writer] = State(epoch: link.epoch, seq: link.seq, hash: link.hash)
        guard let known else { return }
        if known.epoch == link.epoch {
            guard link.seq == known.seq + 1 else {
                throw .broken(line: line, expectedSeq: known.seq + 1, foundSeq: link.seq)
            }
            guard link.previous == known.hash else { throw .unlinked(line: line) }
        } else {
            guard link.seq == 0 else { throw .broken(line: line, expectedSeq: 0, foundSeq: link.seq) }
            // A new process continues from the last line, or begins anew where it could not read it.
            guard link.previous == known.hash || link.previous == RecordChain.zeros else { throw .unlinked(line: line) }
        }
    }

    /// Every problem of a log's text; the first line may be in the middle of a chain (after a rotation).
    package static func problems(in text: [UInt8]) -> [Problem] {
        var verifier = ChainVerifier()
        var problems: [Problem] = []
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            do throws(Problem) { try verifier.check(Array(line)) } catch { problems.append(error) }
        }
        return problems
    }
}
