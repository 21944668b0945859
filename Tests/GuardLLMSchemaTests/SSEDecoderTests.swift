import GuardTesting
import Testing

@testable import GuardLLMSchema

struct SSEDecoderTests {
    private func events(_ text: String) throws -> [SSEEvent] {
        var decoder = SSEDecoder()
        return try decoder.append(Array(text.utf8))
    }

    private func data(_ text: String) throws -> [String?] {
        try events(text).map { $0.data.map { String(decoding: $0, as: UTF8.self) } }
    }

    @Test(
        arguments: [
            ("data: a\n\n", ["a"]), ("data:a\n\n", ["a"]), ("data:  a\n\n", [" a"]), ("data: a\r\n\r\n", ["a"]),
            ("data: a\r\rdata: b\r\r", ["a", "b"]), ("data: a\ndata: b\n\n", ["a\nb"]), ("data\n\n", [""]),
            ("data:\n\n", [""]), ("data\ndata\n\n", ["\n"]), (": comment\n\n", [nil]), ("id: 1\nretry: 3\n\n", [nil]),
            ("foo: x\ndata: a\n\n", ["a"]), ("data: a\n", []), ("data: a", []), ("", []), ("\n", [nil]),
            ("\u{FEFF}data: a\n\ndata: b\n\n", ["a", "b"]), ("data: a\n\n\u{FEFF}data: b\n\n", ["a", nil]),
            ("DATA: a\n\n", [nil]), (" data: a\n\n", [nil]), ("data : a\n\n", [nil]), ("data: a: b\n\n", ["a: b"]),
            // A blank line's CR behind a bare LF is not waited for; the LF that follows is a block of its own.
            ("data: a\r\n\ndata: b\n\r\n", ["a", "b", nil]),
        ] as [(String, [String?])])
    func readsAsTheStandardSays(_ text: String, _ wanted: [String?]) throws {
        #expect(try data(text) == wanted)
    }

    @Test func namesAndBytes() throws {
        let text = ": hi\nevent: error\nid: 7\ndata: {}\n\nevent:x\n\n"
        let all = try events(text)
        #expect(all.map { String(decoding: $0.name, as: UTF8.self) } == ["error", "x"])
        #expect(all.flatMap(\.raw) == Array(text.utf8))
        #expect(
            String(decoding: all[0].bytes(withData: Array("[1]".utf8)), as: UTF8.self)
                == ": hi\nevent: error\nid: 7\ndata: [1]\n\n")
    }

    /// Random streams of all line ends: the same blocks for every way to cut them, and the data of a slow reader.
    @Test func cutsDoNotMatter() throws {
        var random = SeededRandom(seed: 5)
        let pieces = [
            "data: x", "data:", "data", ":c", "event: e", "foo", "\n", "\r", "\r\n", "\r\r", "é", "\u{FEFF}", "",
        ]
        for _ in 0..<800 {
            let text = (0..<Int.random(in: 1..<24, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? ""
            }
            .joined()
            let bytes = Array(text.utf8)
            var decoder = SSEDecoder()
            let whole = try decoder.append(bytes)
            let rest = decoder.rest
            #expect(whole.flatMap(\.raw) + rest == bytes)
            var bytewise = SSEDecoder()
            var drip: [SSEEvent] = []
            for byte in bytes { drip += try bytewise.append([byte]) }
            #expect(drip == whole)
            #expect(bytewise.rest == rest)
            #expect(whole.compactMap(\.data).map { String(decoding: $0, as: UTF8.self) } == Self.naive(text))
        }
    }

    /// The standard's algorithm word for word, over the whole text.
    private static func naive(_ text: String) -> [String] {
        var scalars = Array(text.unicodeScalars)
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        var lines: [[Unicode.Scalar]] = [[]]
        var at = 0
        while at < scalars.count {
            if scalars[at] == "\r" || scalars[at] == "\n" {
                if scalars[at] == "\r", at + 1 < scalars.count, scalars[at + 1] == "\n" { at += 1 }
                lines.append([])
            } else {
                lines[lines.count - 1].append(scalars[at])
            }
            at += 1
        }
        lines.removeLast()
        var result: [String] = []
        var data: [String]?
        for line in lines {
            if line.isEmpty {
                if let data { result.append(data.joined(separator: "\n")) }
                data = nil
                continue
            }
            let colon = line.firstIndex(of: ":") ?? line.count
            var value = Array(line.dropFirst(colon + 1))
            if value.first == " " { value.removeFirst() }
            func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
                var text = ""
                text.unicodeScalars.append(contentsOf: scalars)
                return text
            }
            if string(line.prefix(colon)) == "data" { data = (data ?? []) + [string(value)] }
        }
        return result
    }

    @Test func eventsAreBounded() throws {
        var decoder = SSEDecoder(eventBytesMax: 100)
        #expect(throws: SSEDecoder.TooLarge.self) { try decoder.append([UInt8](repeating: 0x61, count: 101)) }
        var other = SSEDecoder(eventBytesMax: 100)
        for _ in 0..<50 { #expect(try other.append(Array("data: 0123456789\n\n".utf8)).count == 1) }
        #expect(other.bufferedBytes == 0)
    }

    @Test func longLinesInSmallReadsAreLinear() throws {
        var decoder = SSEDecoder(eventBytesMax: 1 << 24)
        let piece = [UInt8](repeating: 0x61, count: 16)
        let time = try ContinuousClock().measure {
            _ = try decoder.append(Array("data: ".utf8))
            for _ in 0..<60_000 { _ = try decoder.append(piece) }
            let events = try decoder.append(Array("\n\n".utf8))
            #expect(events.first?.data?.count == 960_000)
        }
        #expect(time < .seconds(10))
    }

    @Test(arguments: ["\n", "\r\n", "\r"])
    func severalDataLinesBecomeOneValue(_ end: String) throws {
        let text = "data: {\(end)id: 1\(end)data: \"a\":1}\(end)\(end)"
        let event = try #require(try events(text).first)
        #expect(event.data.map { String(decoding: $0, as: UTF8.self) } == "{\n\"a\":1}")
        for data in ["[]", "{\n\"a\":2}", "1\n2\n3"] {
            let bytes = event.bytes(withData: Array(data.utf8))
            var decoder = SSEDecoder()
            let again = try decoder.append(bytes)
            #expect(again.count == 1)
            #expect(again.first?.data.map { String(decoding: $0, as: UTF8.self) } == data)
            #expect(String(decoding: bytes, as: UTF8.self).contains("id: 1\(end)"))
        }
    }
}
