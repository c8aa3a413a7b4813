"""The attacks, a file each. An attack is called with a network and a step and returns adversarial images [B, C, H, W] in [0, 1].

threat       how far an attacker may go: the l_inf and l_2 balls, their steps, projections and starts
pgd          PGD; FGSM and FGSM-RS are PGD of one step; restarts, other losses, a number of steps for each example
mifgsm       MI-FGSM and DI2-FGSM, made to transfer between networks
autoattack   AutoAttack and its parts (APGD, FAB, Square), whole or shortened
perceptual   Fast-LPA, LPA and PPGD within a ball of the LPIPS distance
lpips        that distance, and the projection into its ball
stadv        moves pixels; recoloradv: moves colours (cieluv: the colours it moves in); smooth_fields: what both share
jpeg         moves the quantised coefficients of a JPEG file
"""
