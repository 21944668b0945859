import GuardTesting
import GuardCore
import Testing

@testable import GuardJSON

struct JSONEditTests {
    private func edited(_ text: String, _ edits: [JSONEdit]) -> String {
        String(decoding: JSONEdit.applying(edits, to: Array(text.utf8)), as: UTF8.self)
    }

    @Test func appliesInAnyOrderAndJoinsOverlaps() {
        func edit(_ range: ByteRange, _ text: String) -> JSONEdit {
            JSONEdit(range: range, replacement: Array(text.utf8))
        }
        #expect(edited("abcdef", []) == "abcdef")
        #expect(edited("abcdef", [edit(4..<5, "X"), edit(0..<1, "Y")]) == "YbcdXf")
        #expect(edited("abcdef", [edit(1..<3, "X"), edit(2..<5, "Y")]) == "aXf")
        #expect(edited("abcdef", [edit(1..<5, "X"), edit(2..<3, "Y")]) == "aXf")
        #expect(edited("abcdef", [edit(3..<3, "1"), edit(3..<3, "2"), edit(3..<4, "X")]) == "abc12Xef")
        #expect(edited("abc", [edit(2..<9, "X")]) == "abX")
        #expect(edited("abc", [edit(3..<3, "X")]) == "abcX")
    }

    @Test(arguments: [
        (#"{}"#, #"{"k":1}"#), (#"{ }"#, #"{"k":1 }"#), (#"{"a":0}"#, #"{"a":0,"k":1}"#),
        (#"{"a":[1,{}] }"#, #"{"a":[1,{}],"k":1 }"#),
    ])
    func insertsMembers(_ text: String, _ wanted: String) throws {
        let root = try JSONDocument(Array(text.utf8)).root
        #expect(edited(text, [.inserting("k", value: [0x31], into: root)]) == wanted)
    }

    @Test func removesElements() throws {
        let text = "[ 0 , [1,1],2 ,3, \"4\" ]"
        let root = try JSONDocument(Array(text.utf8)).root
        for mask in 0..<32 {
            let positions = Set((0..<5).filter { mask & 1 << $0 != 0 })
            let result = JSONEdit.applying(JSONEdit.removing(positions, from: root), to: Array(text.utf8))
            let left = try JSONDocument(result).root.elements.map { String(decoding: $0.rawBytes, as: UTF8.self) }
            let all = root.elements.map { String(decoding: $0.rawBytes, as: UTF8.self) }
            #expect(left == all.indices.filter { !positions.contains($0) }.map { all[$0] })
        }
    }

    // MARK: String maps

    private static let pieces: [(body: String, text: String)] = [
        ("a", "a"), ("b c", "b c"), (#"\n"#, "\n"), (#"\""#, "\""), (#"\\"#, "\\"), (#"\/"#, "/"), (#"\b"#, "\u{8}"),
        (#"\f"#, "\u{C}"), (#"\r"#, "\r"), (#"\t"#, "\t"), (#"\u0041"#, "A"), (#"\u00E9"#, "é"), ("é", "é"),
        ("退", "退"), (#"\u9000"#, "退"), ("😀", "😀"), (#"\ud83d\uDE00"#, "😀"), (#"\u0000"#, "\0"),
    ]

    /// Edit, then read again: exactly the scalars that the range touches are replaced, for random strings of all
    /// escapes and random ranges.
    @Test func editThenReadIsWhatWasMeant() throws {
        var random = SeededRandom(seed: 7)
        for _ in 0..<1500 {
            let parts = (0..<Int.random(in: 1..<12, using: &random)).map { _ in
                Self.pieces.randomElement(using: &random) ?? ("", "")
            }
            let body = Array((#"{"x":1, "s" : ""# + parts.map(\.body).joined() + #"","t":[2]}"#).utf8)
            let node = try #require(try JSONDocument(body).root["s"])
            let map = JSONStringMap(node)
            let text = Array(parts.map(\.text).joined().utf8)
            #expect(map.text == text)
            #expect(node.stringBytes == text)
            let lower = Int.random(in: 0...text.count, using: &random)
            let upper = Int.random(in: lower...text.count, using: &random)
            let replacement = ["", "X", "\"\\\n\u{1}", "é😀"].randomElement(using: &random) ?? ""
            let edit = JSONEdit(
                range: map.bodyRange(of: lower..<upper), replacement: JSONEscape.escaped(replacement.utf8))
            let result = try JSONDocument(JSONEdit.applying([edit], to: body)).root

            // The same by scalars.
            var wanted: [UInt8] = []
            var at = 0
            var done = false
            for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
                let bytes = Array(String(scalar).utf8)
                let touched =
                    lower < upper ? at < upper && at + bytes.count > lower : at <= lower && lower < at + bytes.count
                if touched, !done {
                    wanted += Array(replacement.utf8)
                    done = true
                }
                if !touched || lower == upper { wanted += bytes }
                at += bytes.count
            }
            if !done { wanted += Array(replacement.utf8) }
            #expect(result["s"]?.stringBytes == wanted)
            #expect(result["x"]?.integer == 1)
            #expect(result["t"]?[0]?.integer == 2)
        }
    }

    @Test func textRangesAndBack() throws {
        let body = Array(#"["a\u0041\ud83d\ude00é\n"]"#.utf8)
        let node = try #require(try JSONDocument(body).root[0])
        let map = JSONStringMap(node)
        #expect(String(decoding: map.text, as: UTF8.self) == "aA😀é\n")
        // Inside the surrogate pair: the whole pair and the whole scalar.
        let pair = map.bodyRange(of: 3..<4)
        #expect(String(decoding: body[pair], as: UTF8.self) == #"\ud83d\ude00"#)
        #expect(map.textRange(of: pair.lowerBound + 7..<pair.lowerBound + 8) == 2..<6)
        #expect(map.bodyRange(of: 0..<map.text.count) == node.contentRange)
        #expect(map.textRange(of: node.contentRange) == 0..<map.text.count)
        #expect(map.bodyRange(of: -5..<99) == node.contentRange)
    }

    // MARK: Writer

    @Test func writes() throws {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("text", "q\" b\\ n\n c\u{1} é")
            writer.member("n", -5)
            writer.member("d", 0.5)
            writer.key("inf")
            writer.double(.infinity)
            writer.member("yes", true)
            writer.memberNull("none")
            writer.key("list")
            writer.array { writer in
                writer.integer(1)
                writer.array { _ in }
                writer.object { _ in }
                writer.raw("{\"raw\":1}".utf8)
                writer.string(utf8: [0x78])
            }
            writer.member("utf8", utf8: [0x79])
        }
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(
            text
                == #"{"text":"q\" b\\ n\n c\u0001 é","n":-5,"d":0.5,"inf":null,"yes":true,"none":null,"list":[1,[],{},{"raw":1},"x"],"utf8":"y"}"#
        )
        #expect(try JSONDocument(writer.bytes).root["text"]?.string == "q\" b\\ n\n c\u{1} é")
        writer.verbatim([0x0A])
        writer.removeAll()
        writer.string("again")
        #expect(writer.bytes == Array("\"again\"".utf8))
    }

    @Test func escapesEveryByteReadably() throws {
        let text = (0..<0x80).map { UInt8($0) }
        let body = [0x22] + JSONEscape.escaped(text) + [0x22]
        #expect(try JSONDocument(body).root.stringBytes == text)
    }
}
