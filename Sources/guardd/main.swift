print("guardd")
